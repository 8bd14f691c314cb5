"""Where and when checks run: a row for each check and location, kept as the check says, claimed when it is due.

1. A due row is claimed with FOR UPDATE SKIP LOCKED and moved to its next slot in the same transaction: nobody else runs
   it, slots that were missed are counted, and nothing is made up for.
2. `busy_until` is its lease: it keeps a check that takes long from being run a second time meanwhile, and where its
   runner died it is due again after that.
3. A check that is saved is due at once, and then at its slots. One that is disabled is never due.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, DurationField, Exists, ExpressionWrapper, F, OuterRef, Q

from synthetic import ownership, scheduling, series
from synthetic.models import CheckPlace, ResultStatus, SyntheticCheck
from synthetic.verdict import State
from wedsync_monitor import counters

_MOVE = """
    UPDATE synthetic_check_places AS place
    SET next_run_at = moved.slot, busy_until = moved.busy, missed = place.missed + moved.missed
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::bigint[]) AS moved (id, slot, busy, missed)
    WHERE place.id = moved.id"""
_ARRANGED_AT_ONCE = 50
_STORED = ("check_name", "target_url", "target_host", "asset_id", "alert_on_failure", "is_enabled")


def locations_of(check: SyntheticCheck) -> set[str]:
    return set(check.locations) or {settings.PROBE_LOCATION}


def before_saving(check: SyntheticCheck, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the check its asset once it is to run; end what is told under its old name. Answers its save's options."""
    stored = SyntheticCheck.objects.filter(pk=check.pk).values(*_STORED).first()
    host = ownership.host_of(check.target_url, check.target_host)
    moved = stored is not None and ownership.host_of(stored["target_url"], stored["target_host"]) != host
    if check.is_enabled and (check.asset_id is None or moved):
        check.asset = ownership.asset_of(check)
    if stored is not None and stored["asset_id"] is not None and not _is_told_as(check, stored):
        _withdraw(check.pk, stored["asset_id"], stored["check_name"])
    only = options.get("update_fields")
    return {**options, **({"update_fields": {*only, "asset"}} if only is not None else {})}


def _is_told_as(check: SyntheticCheck, stored: Mapping[str, Any]) -> bool:
    """Whether the check's alarms go on in the series in which they were told so far."""
    same = (check.check_name, check.asset_id) == (stored["check_name"], stored["asset_id"])
    return same and check.is_enabled and check.alert_on_failure


def forget(check: SyntheticCheck) -> None:
    """The check is deleted: nothing of it alarms any more."""
    if check.asset_id is not None:
        _withdraw(check.pk, check.asset_id, check.check_name)


def _withdraw(check_id: UUID, asset_id: UUID, name: str) -> None:
    if CheckPlace.objects.filter(synthetic_check=check_id, state=State.DOWN).exists():
        transaction.on_commit(lambda: series.withdraw(asset_id, name))


def arrange(check: SyntheticCheck, now: datetime) -> None:
    """Make the rows of the check's locations, all due at once, or never where it is disabled."""
    wanted = locations_of(check)
    rows = CheckPlace.objects.filter(synthetic_check=check)
    rows.exclude(location__in=wanted).delete()
    due = now if check.is_enabled else None
    new = [CheckPlace(synthetic_check=check, location=location, next_run_at=due) for location in sorted(wanted)]
    CheckPlace.objects.bulk_create(new, ignore_conflicts=True)
    changes: dict[str, Any] = {"next_run_at": due}
    if not check.is_enabled:
        # Nothing is known of what nobody looks at.
        changes |= {"state": State.UNKNOWN, "state_since": now, "failures_in_a_row": 0, "successes_in_a_row": 0}
    rows.update(**changes)


def arrange_new(now: datetime) -> int:
    """Arrange checks that came in otherwise (by SQL), and those whose asset was deleted, some at a time: whoever runs
    checks does it in between. Answers how many."""
    placed = Exists(CheckPlace.objects.filter(synthetic_check=OuterRef("pk")))
    found = list(SyntheticCheck.objects.filter(~placed | Q(asset=None, is_enabled=True))[:_ARRANGED_AT_ONCE])
    for check in found:
        check.save(update_fields=["asset"])
    return len(found)


def claim(location: str, now: datetime, room: int, room_for_hanging: int | None = None) -> list[CheckPlace]:
    """At most `room` of the checks that are due at the location, each moved to its next slot. Of those that timed out
    when they were last run, at most `room_for_hanging`: they cannot take the places of all others."""
    hangs = Q(last_status=ResultStatus.TIMEOUT)
    with transaction.atomic():
        found = _due(location, now, ~hangs if room_for_hanging is not None else Q(), room)
        if room_for_hanging is not None:
            found += _due(location, now, hangs, min(room - len(found), room_for_hanging))
        if found:
            _move(found, location, now)
    return found


def _due(location: str, now: datetime, which: Q, number: int) -> list[CheckPlace]:
    if number <= 0:
        return []
    rows = CheckPlace.objects.select_for_update(skip_locked=True, of=("self",)).select_related("synthetic_check")
    free = Q(busy_until=None) | Q(busy_until__lte=now)
    return list(rows.filter(free, which, location=location, next_run_at__lte=now).order_by("next_run_at")[:number])


def _move(found: Collection[CheckPlace], location: str, now: datetime) -> None:
    moved = []
    for place in found:
        check = place.synthetic_check
        every = timedelta(seconds=check.check_frequency)
        assert place.next_run_at is not None
        slot = scheduling.slot_after(check.pk, location, every, now)
        busy_until = now + scheduling.lease(check.timeout_seconds, check.retry_attempts)
        missed = scheduling.missed_slots(place.next_run_at, now, every)
        counters.add(counters.key("wedsync_checks_missed_total", location=location), missed)
        moved.append((place.pk, slot, busy_until, missed))
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [list(column) for column in zip(*moved, strict=True)])


@transaction.atomic
def heard_of(location: str, missed: Mapping[UUID, int], now: datetime) -> None:
    """Checks of a location that schedules by itself were run, after so many slots that it missed: they are due at their
    next slot, and overdue where nothing is heard of them any more."""
    rows = CheckPlace.objects.filter(location=location, synthetic_check__in=list(missed), next_run_at__isnull=False)
    moved = []
    for place in rows.select_related("synthetic_check").select_for_update(of=("self",)).order_by("pk"):
        every = timedelta(seconds=place.synthetic_check.check_frequency)
        slot = scheduling.slot_after(place.synthetic_check_id, location, every, now)
        moved.append((place.pk, slot, None, missed[place.synthetic_check_id]))
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(_MOVE, [list(column) for column in zip(*moved, strict=True)])


def release(place_ids: Collection[UUID], now: datetime) -> None:
    """What was claimed and is not run after all is due again."""
    rows = CheckPlace.objects.filter(pk__in=place_ids, next_run_at__isnull=False)
    rows.update(busy_until=None, next_run_at=now)


def overdue(now: datetime) -> dict[str, int]:
    """How many checks at each location have waited longer than a turn and a minute: nobody runs them."""
    turn = ExpressionWrapper(F("synthetic_check__check_frequency") * timedelta(seconds=1), output_field=DurationField())
    late = CheckPlace.objects.filter(next_run_at__lt=now - timedelta(seconds=60) - turn).order_by()
    return dict(late.values_list("location").annotate(number=Count("pk")))
