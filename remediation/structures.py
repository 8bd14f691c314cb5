"""The declared structures of the JSON columns of remediation. Pure: no Django."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from wedsync_monitor.structures import Destination, Secret


class ActionConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an action does; which parts apply depends on its type."""

    script_path: Destination = ""
    script_args: list[Destination] = []
    working_directory: Destination = ""
    environment_variables: dict[str, Secret] = {}
    api_endpoint: Destination = ""
    http_method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, Secret] = {}
    request_body: str = ""
    service_name: str = ""
    service_action: Literal["restart", "start", "stop"] = "restart"
    resource_type: str = ""
    scaling_action: Literal["scale_up", "scale_down", "scale_to"] = "scale_up"
    target_capacity: Annotated[int, Meta(ge=0)] | None = None


class Prerequisite(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["metric_condition", "service_status", "time_constraint"]
    condition: dict[str, Any]


class SuccessCriterion(msgspec.Struct, forbid_unknown_fields=True):
    metric_name: str
    operator: Literal["gt", "lt", "gte", "lte", "eq", "ne"]
    expected_value: float
    timeout_seconds: Annotated[int, Meta(ge=1, le=86400)]
