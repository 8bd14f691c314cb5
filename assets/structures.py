"""The declared structures of the JSON columns of assets and agents. Pure: no Django."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from wedsync_monitor.structures import Secret

Seconds = Annotated[int, Meta(ge=1, le=86400)]
Days = Annotated[int, Meta(ge=1, le=3650)]
MAX_TAG_LENGTH = 200
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_TAG_LENGTH)]
Configuration = dict[str, Any]


class MonitoringConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How an asset is monitored; what is left out takes the installation's defaults."""

    # Seconds between reports: what the asset's agents are told, and what its health expects.
    collection_interval: Seconds | None = None
    retention_days: Days | None = None
    # Series that senders without an agent (people's tokens) may make on it.
    max_series: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    custom_metrics: list[str] = []
    # Availability promised, in percent, from which the error budget is reckoned.
    slo_target_percent: Annotated[float, Meta(ge=50, lt=100)] | None = None
    # An ephemeral host may leave without an alarm.
    ephemeral: bool = False


class Exporter(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A Prometheus exporter that the agent reads on its host."""

    url: Annotated[str, Meta(pattern=r"^https?://", max_length=2000)]
    labels: dict[str, str] = {}
    authorization: Secret | None = None


Collector = Literal["cpu", "memory", "swap", "disk", "disk_io", "network", "load", "processes", "services"]


class AgentConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an agent collects and how often; fetched by the agent itself."""

    collectors: list[Collector] | None = None
    watched_services: list[str] = []
    exporters: list[Exporter] = []
    adaptive_sampling: bool = True
    min_interval: Seconds | None = None
    max_interval: Seconds | None = None
    discovery: bool = True
    disk_mounts: list[str] | None = None
    network_interfaces: list[str] | None = None
