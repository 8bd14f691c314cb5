"""What people do with alerts besides acknowledging and resolving: snooze, assign, comment; and all of it in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from alerts import lifecycle, transitions
from alerts.lifecycle import Event, Refused
from alerts.models import AlertInstance
from wedsync_monitor.models import User

LONGEST_SNOOZE = timedelta(days=30)
# So many alerts are changed at once, each in its own transaction.
MOST_AT_ONCE = 500
NO_SUCH_ALERT = "There is no such alert."


def snooze(alert_id: UUID, person: User, until: datetime, note: str, now: datetime) -> AlertInstance:
    """Nobody is told of the alert until then. Raises Refused, AlertInstance.DoesNotExist."""
    if until - now > LONGEST_SNOOZE:
        raise Refused(
            f"an alert is snoozed for at most {LONGEST_SNOOZE.days} days; resolve it, or silence what matches"
        )
    said = f"Until {until:%Y-%m-%d %H:%M} UTC." + (f" {note}" if note else "")
    return transitions.act(alert_id, person, partial(lifecycle.decide_snooze, until=until, now=now), said, now)


def assign(alert_id: UUID, person: User, assignee: User | None, now: datetime) -> AlertInstance:
    """The alert is `assignee`'s, or nobody's. Raises Refused, AlertInstance.DoesNotExist."""
    decide = partial(lifecycle.decide_remark, event=Event.ASSIGNED)
    note = f"To {assignee.get_username()}." if assignee else "To nobody."
    return transitions.act(alert_id, person, decide, note, now, assigned_to=assignee)


def comment(alert_id: UUID, person: User, text: str, now: datetime) -> AlertInstance:
    """Something to remember, on the alert's timeline; also once it is over. Raises AlertInstance.DoesNotExist."""
    return transitions.act(alert_id, person, partial(lifecycle.decide_remark, event=Event.COMMENTED), text, now)


@dataclass
class Outcome:
    """Which alerts were changed, and why others were not."""

    done: list[UUID] = field(default_factory=list)
    refused: dict[UUID, str] = field(default_factory=dict)


def each(ids: Iterable[UUID], do: Callable[[UUID], AlertInstance]) -> Outcome:
    """Do the same to every alert, each in its own transaction: one that refuses does not hold up the others."""
    outcome = Outcome()
    for pk in ids:
        try:
            do(pk)
        except Refused as error:
            outcome.refused[pk] = f"{str(error).capitalize()}."
        except AlertInstance.DoesNotExist:
            outcome.refused[pk] = NO_SUCH_ALERT
        else:
            outcome.done.append(pk)
    return outcome
