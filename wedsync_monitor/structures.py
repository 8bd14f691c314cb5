"""The declared structures of JSON columns: what every app shares, and the dashboards' own. Pure: no Django."""

from typing import Annotated, Any, Literal

import msgspec

# A JSON object that a user may fill freely.
AnyObject = dict[str, Any]
# A string that is a secret: sealed at rest and masked wherever it would be shown (wedsync_monitor.secrets).
Secret = Annotated[str, msgspec.Meta(extra={"secret": True}, extra_json_schema={"writeOnly": True})]
# A text that says where the secrets beside it are sent: when it changes, they have to be entered again.
Destination = Annotated[str, msgspec.Meta(extra={"destination": True})]


class AccessControl(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Who besides the owner may see or change a dashboard: role names and user names."""

    view_roles: list[str] = []
    view_users: list[str] = []
    edit_roles: list[str] = []
    edit_users: list[str] = []


class Widget(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One widget: what it shows, of which metric and assets, and its place on a grid of twelve columns."""

    type: Literal["chart", "stat", "alerts", "assets", "text"]
    title: str = ""
    metric_name: str = ""
    asset_names: list[str] = []
    environment: str = ""
    text: str = ""
    width: int = 6


class SignalTarget(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Where a dead man's switch sends its signals; whoever knows the address can send them too."""

    url: Secret
    method: Literal["GET", "POST"] = "GET"
