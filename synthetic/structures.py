"""The declared structures of the JSON columns of synthetic checks. Pure: no Django."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wedsync_monitor.structures import Secret

StatusCode = Annotated[int, Meta(ge=100, le=599)]


class CheckConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a probe sends and expects; which parts apply depends on the check's type."""

    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    headers: dict[str, Secret] = {}
    body: str = ""
    follow_redirects: bool = True
    expected_status_codes: list[StatusCode] = []
    expected_content: str = ""
    expected_response_time_ms: Annotated[int, Meta(ge=1)] | None = None
    certificate_days_warning: Annotated[int, Meta(ge=0, le=3650)] | None = None
    dns_record_type: Literal["A", "AAAA", "CNAME", "MX", "NS", "TXT", "SOA", "SRV", "CAA", "PTR"] = "A"
    expected_ip: str = ""


class ExpectedResponse(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    status_codes: list[StatusCode] = []
    content: str = ""
    response_time_ms: Annotated[int, Meta(ge=1)] | None = None


Locations = list[Annotated[str, Meta(min_length=1, max_length=100)]]
