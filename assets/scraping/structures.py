"""The declared structures of a scrape job's JSON columns. Pure: no Django."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from assets.scraping.discovery import LabelName, LabelValue, TargetGroup
from wedsync_monitor.structures import Secret

# `$` alone would let a line break through at the end.
HeaderName = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$(?!\n)")]
HeaderValue = Annotated[Secret, Meta(pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$(?!\n)", max_length=8000)]
JobLabels = Annotated[dict[LabelName, LabelValue], Meta(max_length=20)]
StaticTargets = Annotated[list[TargetGroup], Meta(max_length=1000)]


class ScrapeRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is sent along: to targets, and to the address that lists them. All of it is secret."""

    bearer_token: HeaderValue | None = None
    headers: Annotated[dict[HeaderName, HeaderValue], Meta(max_length=20)] = {}
    discovery_headers: Annotated[dict[HeaderName, HeaderValue], Meta(max_length=20)] = {}
