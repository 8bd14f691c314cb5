"""The audit trail: every change of a configuration row, whoever made it and by whichever way in; and who signs in.

Models are named once with `track`; who acts is a context variable that the ways in set.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from wedsync_monitor import secrets
from wedsync_monitor.models import AuditAction, AuditEntry, User

_actor: ContextVar[User | str] = ContextVar("actor", default="system")
# Columns that the system itself moves, and digests of secrets.
_UNTRACKED = {"updated_at", "created_at", "last_login", "digest", "last_used_at", "first_used_at"}
_UNTRACKED |= {"health_status", "last_heartbeat", "last_report", "metrics_collected", "bytes_transmitted"}
_UNTRACKED |= {"last_run_at", "total_run_count", "date_changed"}
_UNTRACKED |= {"last_ping_at", "last_success_at", "last_duration_seconds", "last_exit_status", "last_log", "ping_count"}
_UNTRACKED |= {"expected_from", "started_at", "has_failed", "due_at", "down_at", "next_check_at"}
_UNTRACKED |= {"next_refresh_at", "last_refresh_at", "last_refresh_error"}
_UNTRACKED |= {"next_signal_at", "last_sent_at", "last_answer", "held_back_since", "held_back_because"}
# Columns of which only the change is told.
_SECRET = {"password", "ping_key"}


@contextmanager
def acting(actor: User | str) -> Iterator[None]:
    """Changes inside are this person's, or this program's where `actor` is its name."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def act_as(actor: User | str) -> None:
    """For the rest of this request, changes are this actor's (token authentication happens inside the view)."""
    _actor.set(actor)


class ActorMiddleware:
    """Every request starts with its session's person as the actor, and leaves none behind."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting(_SessionPerson(request)):  # type: ignore[arg-type]
            return self.get_response(request)


class _SessionPerson:
    """The request's person, looked up only when something is written."""

    def __init__(self, request: HttpRequest):
        self.request = request

    def resolve(self) -> User | str:
        person = getattr(self.request, "user", None)
        return person if isinstance(person, User) else "anonymous"


def _current_actor() -> tuple[User | None, str]:
    actor: Any = _actor.get()
    if isinstance(actor, _SessionPerson):
        actor = actor.resolve()
    return (actor, actor.get_username()) if isinstance(actor, User) else (None, str(actor))


def _stored(row: models.Model) -> dict[str, Any]:
    """The row's tracked columns as they are stored, secrets sealed: what tells whether something changed."""
    columns = (field for field in row._meta.concrete_fields if field.name not in _UNTRACKED)
    return {field.name: _plain(getattr(row, field.attname)) for field in columns}


def _shown(name: str, value: Any) -> Any:
    """A column's value as the audit trail may show it."""
    return secrets.MASK if name in _SECRET and value else secrets.mask(value)


def shown(row: models.Model) -> dict[str, Any]:
    """The row's tracked columns as an entry would have them."""
    return {name: _shown(name, value) for name, value in _stored(row).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, uuid.UUID | datetime.datetime | datetime.date | decimal.Decimal):
        return str(value)
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def _write(action: str, row: models.Model, changes: dict[str, Any]) -> None:
    person, name = _current_actor()
    AuditEntry.objects.create(
        actor=person,
        actor_name=name,
        action=action,
        table_name=row._meta.db_table,
        object_id=str(row.pk),
        object_name=str(row),
        changes=changes,
    )


def track(*tracked: type[models.Model]) -> None:
    """Write an audit entry for each creation, change and deletion of rows of these models."""
    for model in tracked:
        uid = f"audit {model._meta.label}"
        pre_save.connect(_remember, sender=model, dispatch_uid=uid)
        post_save.connect(_saved, sender=model, dispatch_uid=uid)
        post_delete.connect(_deleted, sender=model, dispatch_uid=uid)


def track_roles() -> None:
    """Write an audit entry when a person gains or loses a role."""
    m2m_changed.connect(_roles_changed, sender=User.groups.through, dispatch_uid="audit roles")


def _remember(sender: type[models.Model], instance: models.Model, raw: bool = False, **_: Any) -> None:
    stored = None if instance._state.adding else sender._base_manager.filter(pk=instance.pk).first()
    instance._audit_before = _stored(stored) if stored else None  # type: ignore[attr-defined]


def _saved(sender: type[models.Model], instance: models.Model, created: bool, raw: bool = False, **_: Any) -> None:
    before: dict[str, Any] = getattr(instance, "_audit_before", None) or {}
    changes = {
        name: [_shown(name, before.get(name)), _shown(name, value)]
        for name, value in _stored(instance).items()
        if before.get(name) != value
    }
    if created or changes:
        _write(AuditAction.CREATE if created else AuditAction.CHANGE, instance, changes)


def _deleted(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    _write(
        AuditAction.DELETE, instance, {name: [_shown(name, value), None] for name, value in _stored(instance).items()}
    )


def _roles_changed(sender: Any, instance: Any, action: str, pk_set: set[Any] | None, **_: Any) -> None:
    if action not in ("post_add", "post_remove", "pre_clear") or not isinstance(instance, User):
        return
    now = set(instance.groups.values_list("name", flat=True))
    moved = set(instance.groups.model.objects.filter(pk__in=pk_set or ()).values_list("name", flat=True))
    before = {"post_add": now - moved, "post_remove": now | moved, "pre_clear": now}[action]
    after = set() if action == "pre_clear" else now
    if before != after:
        _write(AuditAction.CHANGE, instance, {"roles": [sorted(before), sorted(after)]})


# Whoever guesses passwords must not fill the table: past this number in a minute a refusal leaves no entry.
MAX_REFUSED_A_MINUTE = 60
_LONGEST_NAME = 150


def note_session(action: AuditAction, person: User) -> None:
    """`person` has signed in or out."""
    with acting(person):
        _write(action, person, {})


def note_refused_sign_in(name: str) -> None:
    """Somebody who gave `name` was not let in. The name is all that is kept of what they sent."""
    lately = timezone.now() - datetime.timedelta(minutes=1)
    refused = AuditEntry.objects.filter(action=AuditAction.SIGN_IN_REFUSED, at__gt=lately)
    if refused.count() >= MAX_REFUSED_A_MINUTE:
        return
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name[:_LONGEST_NAME])
    AuditEntry.objects.create(
        actor_name="anonymous",
        action=AuditAction.SIGN_IN_REFUSED,
        table_name=User._meta.db_table,
        object_id="",
        object_name=shown,
        changes={},
    )
