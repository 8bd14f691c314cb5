"""What a channel is: a function that sends one message by one configuration. Pure: no Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol


class NotDelivered(Exception):
    """The message did not arrive. `permanent`: trying again cannot help; `retry_after`: the receiver's wish."""

    def __init__(self, reason: str, permanent: bool = False, retry_after: timedelta | None = None):
        super().__init__(reason)
        self.permanent, self.retry_after = permanent, retry_after


@dataclass(frozen=True)
class Message:
    """One event of one alert, as channels tell it."""

    delivery_id: str
    event: str
    at: datetime
    alert_key: str
    alert_id: str
    title: str
    description: str
    severity: str
    status: str
    asset_name: str
    environment: str
    rule_name: str
    trigger_value: float | None
    threshold_value: float | None
    first_triggered_at: datetime
    actor: str
    note: str
    runbook_url: str
    business_impact: str
    link: str
    # What the receiver knows the first message of this alert by, where it said so.
    earlier: str = ""
    # Where whoever gets it can acknowledge it without signing in; empty where that is not asked.
    acknowledge_link: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def headline(self) -> str:
        """One line: what happened to what."""
        words = {
            "opened": self.severity.upper(),
            "unsuppressed": f"{self.severity.upper()} (no longer held back)",
            "flapping": f"{self.severity.upper()} (flapping: told again when it settles)",
            "acknowledgement_expired": f"{self.severity.upper()} (acknowledgement expired)",
            "escalated": f"{self.severity.upper()} (escalated)",
            "resolved": "Resolved",
            "acknowledged": "Acknowledged",
            "data_missing": "No data",
            "data_back": "Data is back",
            "summary": "Summary",
        }
        return f"[{words.get(self.event, self.event)}] {self.title}"


class Channel(Protocol):
    """Sends `message` as `config` says (its secrets opened); may answer what the receiver knows the message by.

    Raises NotDelivered."""

    def __call__(self, config: Mapping[str, Any], message: Message) -> str | None: ...
