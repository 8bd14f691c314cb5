"""The declared structures of the JSON columns of synthetic checks. Pure: no Django."""

from typing import Annotated

from msgspec import Meta
from wedsync_agent.checks import CheckConfig, ExpectedResponse

Locations = list[Annotated[str, Meta(min_length=1, max_length=100)]]

__all__ = ["CheckConfig", "ExpectedResponse", "Locations"]
