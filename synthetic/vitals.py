"""How probing itself goes: checks that nobody runs, and locations that are cut off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from synthetic import places
from synthetic.models import CheckPlace, ProbeLocation
from wedsync_monitor.selfmonitoring.measurements import Measurement


def checks(now: datetime) -> Iterator[Measurement]:
    late = places.overdue(now)
    locations = CheckPlace.objects.filter(next_run_at__isnull=False).order_by("location")
    for location in locations.values_list("location", flat=True).distinct():
        yield Measurement("wedsync_checks_overdue", late.get(location, 0), {"location": location})
    for row in ProbeLocation.objects.all():
        cut_off = 1 if row.cut_off_since else 0
        yield Measurement("wedsync_location_cut_off", cut_off, {"location": row.location_name})
