"""What keeps a rule from doing what its author thinks it does, in words for the console."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.models import AlertRule, AlertType
from alerts.selection import AssetTable


@dataclass(frozen=True)
class Doubt:
    """A short mark for lists, and the sentence that explains it."""

    mark: str
    text: str


NOBODY = Doubt("tells nobody", "It has no recipient: its alerts are in the console only. Add one under Who is told.")
NO_ASSET = Doubt("matches no asset", "No active asset matches it, so it never opens an alert.")
NO_DATA = Doubt("no data", "No asset reported its metrics when it was last evaluated.")


def of_rule(rule: AlertRule, assets: AssetTable) -> list[Doubt]:
    """Reasons why `rule` opens no alert or tells nobody, by itself or by its escalation policy."""
    found = [] if rule.notification_channels or rule.escalation_policy_id else [NOBODY]
    if not assets.select(rule.asset_filter).any():
        return [*found, NO_ASSET]
    # Of an absence rule that is no doubt but what it looks for.
    doubtful = rule.is_enabled and rule.alert_type != AlertType.ABSENCE and _saw_nothing(rule)
    return [*found, NO_DATA] if doubtful else found


def _saw_nothing(rule: AlertRule) -> bool:
    evaluation = getattr(rule, "evaluation", None)
    return evaluation is not None and evaluation.last_series_seen == 0
