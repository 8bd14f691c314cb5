"""Signals to the outside while the system works from end to end; when they stop, the outside alarms.

1. Database, broker, evaluator and beat work, as /readyz finds.
2. The evaluator has found the heartbeat, which is true all the time, in samples that came by ingestion.
3. The switch's address is requested. Whatever is broken holds the signal back, and the switch says why.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from alerts import vitals
from wedsync_monitor import outgoing, readiness, secrets
from wedsync_monitor.models import DeadMansSwitch

# What was held back or did not arrive is tried again soon: the outside waits little longer than the interval.
RETRY = timedelta(seconds=10)

Send = Callable[[str, str], outgoing.Answer]
Problems = Callable[[datetime], list[str]]


def what_is_broken(now: datetime) -> list[str]:
    """A sentence for everything that keeps the system from working from end to end."""
    found = readiness.problems()
    if found:
        return found
    missing = vitals.heartbeat_problem(now)
    return [missing] if missing else []


def signal_due(now: datetime, send: Send = outgoing.request, problems: Problems = what_is_broken) -> int:
    """Signal by the switches that are due, or hold their signals back; answers how many arrived."""
    due = _claim(now)
    if not due:
        return 0
    reasons = problems(now)
    for switch in due:
        if reasons:
            _hold_back(switch, reasons, now)
        else:
            _signal(switch, send, now)
        switch.save(update_fields=_STATE)
    return sum(switch.last_sent_at == now for switch in due)


_STATE = ("next_signal_at", "last_sent_at", "last_answer", "held_back_since", "held_back_because")


def _claim(now: datetime) -> list[DeadMansSwitch]:
    """Take the switches that are due by moving them ahead: of two processes one signals."""
    with transaction.atomic():
        rows = DeadMansSwitch.objects.select_for_update(skip_locked=True)
        due = list(rows.filter(is_enabled=True, next_signal_at__lte=now).order_by("next_signal_at"))
        for switch in due:
            switch.next_signal_at = now + timedelta(seconds=switch.interval_seconds)
            switch.save(update_fields=["next_signal_at"])
    return due


def _soon(switch: DeadMansSwitch, now: datetime) -> datetime:
    return now + min(RETRY, timedelta(seconds=switch.interval_seconds))


def _hold_back(switch: DeadMansSwitch, reasons: list[str], now: datetime) -> None:
    switch.held_back_since = switch.held_back_since or now
    switch.held_back_because = "; ".join(reasons)[:1000]
    switch.next_signal_at = _soon(switch, now)


def _signal(switch: DeadMansSwitch, send: Send, now: datetime) -> None:
    switch.held_back_since, switch.held_back_because = None, ""
    try:
        target = secrets.reveal(switch.target)
        answer = send(target.get("method", "GET"), target["url"])
    except (outgoing.Forbidden, outgoing.Unreachable, secrets.Unreadable) as error:
        switch.last_answer, switch.next_signal_at = str(error)[:500], _soon(switch, now)
        return
    switch.last_answer = f"answered {answer.status}"
    if 200 <= answer.status < 300:
        switch.last_sent_at = now
    else:
        switch.next_signal_at = _soon(switch, now)
