"""The declared structures of the JSON columns of synthetic checks. Pure: no Django."""

from typing import Annotated

import msgspec
from msgspec import Meta
from wedsync_agent.checks import CheckConfig, ExpectedResponse

from wedsync_monitor.structures import Secret

Locations = list[Annotated[str, Meta(min_length=1, max_length=100)]]
Hosts = Annotated[list[Annotated[str, Meta(min_length=1, max_length=253)]], Meta(min_length=1, max_length=50)]


class SecretText(msgspec.Struct, forbid_unknown_fields=True):
    """A secret's own text."""

    value: Secret


__all__ = ["CheckConfig", "ExpectedResponse", "Hosts", "Locations", "SecretText"]
