"""The declared structures of a rule: asset filter, conditions, thresholds, suppression. Pure: no Django."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from wedsync_monitor.structures import Secret

Seconds = Annotated[int, Meta(ge=1, le=31 * 86400)]
Operator = Literal["gt", "lt", "gte", "lte", "eq", "ne"]
Aggregation = Literal["avg", "max", "min", "sum", "count"]
AssetType = Literal["server", "database", "load_balancer", "container", "service"]
EnvironmentName = Literal["development", "staging", "production"]


class AssetFilter(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which assets a rule is about: every part that is given must match; an empty filter means all of them.

    `tags` maps a key to a value and matches the asset's tag "key:value".
    """

    asset_types: list[AssetType] = []
    environments: list[EnvironmentName] = []
    tags: dict[str, str] = {}
    asset_names: list[str] = []


class MetricCondition(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One comparison of a metric, aggregated over the last `time_window` seconds, with a threshold."""

    metric_name: Annotated[str, Meta(min_length=1, max_length=200)]
    operator: Operator
    threshold: float
    aggregation: Aggregation = "avg"
    time_window: Seconds = 300


Conditions = Annotated[list[MetricCondition], Meta(max_length=20)]


class ThresholdConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """When a breach opens an alert and when it is over.

    `recovery_threshold` replaces the first condition's threshold when deciding that an open alert is over, and
    `keep_firing_seconds` is how long it must be over before it resolves. Windows end `evaluation_delay_seconds` before
    now, for metrics that come in late; by default what EVALUATION_DELAY_SECONDS says. An alert that changed in
    `flapping_high_percent` of the last 20 evaluations (0: never) is held until it is `flapping_low_percent` at most.
    """

    consecutive_breaches: Annotated[int, Meta(ge=1, le=1000)] = 1
    recovery_threshold: float | None = None
    keep_firing_seconds: Annotated[int, Meta(ge=0, le=86400)] = 0
    evaluation_delay_seconds: Annotated[int, Meta(ge=0, le=3600)] | None = None
    flapping_high_percent: Annotated[int, Meta(ge=0, le=100)] = 30
    flapping_low_percent: Annotated[int, Meta(ge=0, le=100)] = 15


class AnomalyConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is unusual: outside of what `baseline_days` of history expect at this hour, or a surprise for its stream.

    `metric_name` is watched, as its `aggregation` over `time_window` seconds. Without it the rule's only condition says
    all three; its operator and threshold are not asked.
    """

    sensitivity: Literal["low", "medium", "high"] = "medium"
    direction: Literal["both", "up", "down"] = "both"
    baseline_days: Annotated[int, Meta(ge=1, le=365)] = 7
    metric_name: Annotated[str, Meta(max_length=200)] = ""
    aggregation: Aggregation = "avg"  # or max or min: of others no band is known
    time_window: Annotated[int, Meta(ge=1, le=3600)] = 300


class AbsenceConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """When it is trouble that a metric does not come in; of an asset, or of too many.

    `stopped`: it came in once, and no more for `silent_seconds`. `never_seen`: the asset has never sent it. `silent`:
    either. `fewer_assets`: fewer than `expected_assets` of the rule's assets sent it in the last `silent_seconds`,
    which is one alert on no asset. A new asset has `grace_seconds` to begin. Without a `metric_name` the metric is that
    of the rule's first condition.
    """

    metric_name: Annotated[str, Meta(max_length=200)] = ""
    when: Literal["silent", "stopped", "never_seen", "fewer_assets"] = "silent"
    silent_seconds: Annotated[int, Meta(ge=10, le=7 * 86400)] = 300
    grace_seconds: Annotated[int, Meta(ge=0, le=31 * 86400)] = 900
    expected_assets: Annotated[int, Meta(ge=1)] | None = None


Place = Literal["asset", "upstream"]


class MetricPart(MetricCondition, tag_field="kind", tag="metric"):
    """A metric condition; `on` the asset itself, or any that it depends on: parents and dependencies, to the top."""

    on: Place = "asset"


class RulePart(msgspec.Struct, tag_field="kind", tag="rule", forbid_unknown_fields=True, omit_defaults=True):
    """Holds while the rule of that name has an open alert on the asset (a rule with an alert on no asset: on all)."""

    rule_name: Annotated[str, Meta(min_length=1)]
    on: Place = "asset"


class CheckPart(msgspec.Struct, tag_field="kind", tag="check", forbid_unknown_fields=True, omit_defaults=True):
    """Holds while the newest verdict of the check of that name (empty: of any check) in the last `time_window` seconds
    is that it is down."""

    check_name: str = ""
    time_window: Seconds = 900
    on: Place = "asset"


class CompositeConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How many parts must hold: all, any, none, or `at_least` so many. The rule's metric conditions are parts too."""

    require: Literal["all", "any", "none", "at_least"] = "all"
    at_least: Annotated[int, Meta(ge=1, le=40)] | None = None
    parts: Annotated[list[MetricPart | RulePart | CheckPart], Meta(max_length=20)] = []


class SuppressionConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`suppression_period`: seconds after a resolution in which a new opening tells nobody.

    `means_down`: while an alert of this rule lives, its asset counts as down, and nobody is told of alerts on what
    depends on that asset; a rule with `dependencies` false tells all the same.
    """

    suppression_period: Annotated[int, Meta(ge=0, le=31 * 86400)] = 0
    maintenance_windows: bool = True
    dependencies: bool = True
    means_down: bool = False


class EmailConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    recipients: Annotated[list[Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")]], Meta(min_length=1, max_length=50)]

    @property
    def address(self) -> list[str]:
        return sorted(self.recipients)

    @property
    def shown(self) -> str:
        """Whom it reaches, for people who may know that but not how: o…@example.com."""
        return ", ".join(f"{one[:1]}…@{one.partition('@')[2]}" for one in self.recipients)


class SlackConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An incoming webhook, or a bot's token and a channel: a bot keeps one message per alert up to date."""

    webhook_url: Secret = ""
    channel: str = ""
    bot_token: Secret = ""

    def __post_init__(self) -> None:
        if bool(self.webhook_url) == bool(self.bot_token):
            raise ValueError("send either webhook_url or bot_token")
        if self.bot_token and not self.channel:
            raise ValueError("send the channel that the bot writes to")

    @property
    def address(self) -> list[str]:
        return [self.webhook_url or self.bot_token, self.channel]

    @property
    def shown(self) -> str:
        return self.channel


class PagerDutyConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    routing_key: Secret

    @property
    def address(self) -> list[str]:
        return [self.routing_key]

    @property
    def shown(self) -> str:
        return ""


def _host(url: str) -> str:
    """The host alone: paths and queries hold keys."""
    return re.split(r"[/?#\\]", url)[2].rpartition("@")[2]


class WebhookConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`secret` signs the body: X-WedSync-Signature is t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">.

    `template`: the body instead of the usual one, with ${placeholders} in its texts (alerts.channels.templates).
    """

    url: Annotated[str, Meta(pattern=r"^https?://", max_length=2000)]
    secret: Secret = ""
    headers: dict[str, Secret] = {}
    template: dict[str, Any] = {}

    @property
    def address(self) -> list[str]:
        return [self.url]

    @property
    def shown(self) -> str:
        return _host(self.url)


class AppriseConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`url` as Apprise writes it, tokens and all (discord://…), `label` what people know the channel by."""

    url: Annotated[Secret, Meta(min_length=1, max_length=8000)]
    label: Annotated[str, Meta(max_length=100)] = ""

    @property
    def address(self) -> list[str]:
        return [self.url]

    @property
    def shown(self) -> str:
        return self.label


class AlertmanagerConfig(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A receiver of Alertmanager's webhooks."""

    url: Annotated[str, Meta(pattern=r"^https?://", max_length=2000)]
    headers: dict[str, Secret] = {}

    @property
    def address(self) -> list[str]:
        return [self.url]

    @property
    def shown(self) -> str:
        return _host(self.url)


# How many messages a minute a channel gets; what is beyond that waits.
PerMinute = Annotated[int, Meta(ge=1, le=6000)]


class Email(msgspec.Struct, tag_field="type", tag="email", forbid_unknown_fields=True):
    config: EmailConfig
    per_minute: PerMinute | None = None


class Slack(msgspec.Struct, tag_field="type", tag="slack", forbid_unknown_fields=True):
    config: SlackConfig
    per_minute: PerMinute | None = None


class PagerDuty(msgspec.Struct, tag_field="type", tag="pagerduty", forbid_unknown_fields=True):
    config: PagerDutyConfig
    per_minute: PerMinute | None = None


class Webhook(msgspec.Struct, tag_field="type", tag="webhook", forbid_unknown_fields=True):
    config: WebhookConfig
    per_minute: PerMinute | None = None


class Apprise(msgspec.Struct, tag_field="type", tag="apprise", forbid_unknown_fields=True):
    config: AppriseConfig
    per_minute: PerMinute | None = None


class Alertmanager(msgspec.Struct, tag_field="type", tag="alertmanager", forbid_unknown_fields=True):
    config: AlertmanagerConfig
    per_minute: PerMinute | None = None


Channel = Email | Slack | PagerDuty | Webhook | Apprise | Alertmanager
Channels = Annotated[list[Channel], Meta(max_length=20)]


class EscalationStep(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One step: how many minutes after the opening, and who is told: channels, people, whoever is on call."""

    delay_minutes: Annotated[int, Meta(ge=0, le=10080)]
    notification_channels: Channels = []
    users: Annotated[list[str], Meta(max_length=50)] = []
    schedules: Annotated[list[str], Meta(max_length=20)] = []


EscalationSteps = Annotated[list[EscalationStep], Meta(min_length=1, max_length=20)]
Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class BusinessHours(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    timezone: str = "UTC"
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []
    start: Clock | None = None
    end: Clock | None = None


class HolidaySchedule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    timezone: str = "UTC"
    dates: list[Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]] = []


class Recurrence(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An RFC 5545 RRULE in a named IANA time zone."""

    rrule: str
    timezone: str = "UTC"


class WindowNotification(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    notification_channels: Channels = []
    notify_before_minutes: Annotated[int, Meta(ge=0, le=10080)] = 0


SeasonDay = Annotated[str, Meta(pattern=r"^(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class Profile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a rule says at other times: on `days` from `start` to `end`, from `first_date` to `last_date`, in one year
    (2026-06-01) or every year (06-01). What is left out holds always.

    `thresholds` replace those of the rule's metric conditions, in their order; `off` opens no alert and ends those that
    are there. An alert keeps the severity that it opened with.
    """

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    timezone: str = "UTC"
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []
    start: Clock | None = None
    end: Clock | None = None
    first_date: SeasonDay | None = None
    last_date: SeasonDay | None = None
    off: bool = False
    thresholds: Annotated[list[float], Meta(max_length=20)] = []
    severity: Literal["low", "medium", "high", "critical"] | None = None
    consecutive_breaches: Annotated[int, Meta(ge=1, le=1000)] | None = None
    recovery_threshold: float | None = None
    sensitivity: Literal["low", "medium", "high"] | None = None


Profiles = Annotated[list[Profile], Meta(max_length=20)]
Floats = NDArray[np.float64]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "lt": operator.lt,
    "gte": operator.ge,
    "lte": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}
SYMBOLS = {"gt": ">", "lt": "<", "gte": "≥", "lte": "≤", "eq": "=", "ne": "≠"}


def breaches(values: Floats, compare: Operator, threshold: float) -> NDArray[np.bool_]:
    """Whether each of `values` (float64; NaN = no data, which never breaches) compares true with `threshold`."""
    with np.errstate(invalid="ignore"):
        compared: NDArray[np.bool_] = OPERATORS[compare](values, threshold) & ~np.isnan(values)
    return compared


def worse(compare: Operator) -> int:
    """1 where a larger value is worse, -1 where a smaller one is, 0 where neither (eq, ne)."""
    return {"gt": 1, "gte": 1, "lt": -1, "lte": -1}.get(compare, 0)


def condition_of(stored: dict[str, Any]) -> MetricCondition:
    """A stored condition with its defaults. Raises msgspec.ValidationError."""
    return msgspec.convert(stored, MetricCondition)
