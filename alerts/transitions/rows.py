"""How alerts are written: many by one statement, each column with its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import connection

from alerts.models import AlertInstance

# What an evaluation writes on an alert that stays in its state.
MARKS = {
    "alert_title": "text",
    "alert_description": "text",
    "trigger_value": "float8",
    "threshold_value": "float8",
    "context_data": "jsonb",
    "last_triggered_at": "timestamptz",
    "breach_count": "int4",
    "clear_since": "timestamptz",
    "missing_since": "timestamptz",
    "flips": "timestamptz[]",
    "flapping_since": "timestamptz",
}


# What it writes besides where it moves it on.
ENDS = {
    "opened_at": "timestamptz",
    "acknowledged_until": "timestamptz",
    "snoozed_until": "timestamptz",
    "next_escalation_at": "timestamptz",
    "resolved_at": "timestamptz",
    "resolution_type": "text",
    "resolution_notes": "text",
}


# What a new alert has besides; everything else has its default.
BEGINNING = {
    "id": "uuid",
    "alert_rule_id": "uuid",
    "asset_id": "uuid",
    "alert_key": "text",
    "severity": "text",
    "status": "text",
    "first_triggered_at": "timestamptz",
    "opened_at": "timestamptz",
    "notification_status": "jsonb",
    "impact_assessment": "jsonb",
    "next_escalation_at": "timestamptz",
}


def insert(alerts: Sequence[AlertInstance]) -> set[UUID]:
    """Insert new alerts by one statement; answers those that are there then. The partial unique index leaves out what
    another evaluator opened in the same moment."""
    if not alerts:
        return set()
    types = BEGINNING | MARKS
    rows = msgspec.json.encode([{name: getattr(alert, name) for name in types} for alert in alerts])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO alert_instances ({", ".join(types)})
                SELECT {", ".join(types)}
                FROM jsonb_to_recordset(%s::jsonb) AS new ({", ".join(" ".join(column) for column in types.items())})
                ON CONFLICT DO NOTHING RETURNING id""",
            [rows.decode()],
        )
        return {row[0] for row in cursor.fetchall()}


def update(alerts: Sequence[AlertInstance], columns: Mapping[str, str], where: str, now: datetime) -> None:
    """Write `columns` (and their types) and the status of `alerts`: one statement for all."""
    if not alerts:
        return
    types = {"id": "uuid", "status": "text"} | dict(columns)
    rows = msgspec.json.encode([{name: getattr(alert, name) for name in types} for alert in alerts])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE alert_instances AS alert
                SET status = seen.status, {", ".join(f"{name} = seen.{name}" for name in columns)}, updated_at = %s
                FROM jsonb_to_recordset(%s::jsonb) AS seen ({", ".join(" ".join(column) for column in types.items())})
                WHERE alert.id = seen.id AND {where}""",
            [now, rows.decode()],
        )
