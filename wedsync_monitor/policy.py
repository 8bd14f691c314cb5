"""Who may do what with which rows: the one declaration that the API, the console and the admin go through.

Each app declares its resources in its `policy.py`; `register` collects them when the app starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from wedsync_monitor.models import User


class Role(StrEnum):
    """The names of the groups that grant something."""

    SYSTEM_ADMIN = "system_admin"
    SRE = "sre"
    OPS_ENGINEER = "ops_engineer"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Verb(StrEnum):
    """What a person does with a row."""

    READ = "read"
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    EXECUTE = "execute"
    APPROVE = "approve"
    SEND = "send"


M = TypeVar("M", bound=Model)
Person = User | AnonymousUser
RowFilter = Callable[[User], Q]
OPERATIONS = frozenset({Role.OPS_ENGINEER, Role.SRE, Role.SYSTEM_ADMIN})
EVERY_ROLE = frozenset(Role)
MANAGE = frozenset({Verb.READ, Verb.CREATE, Verb.CHANGE, Verb.DELETE})


@dataclass(frozen=True)
class Policy:
    """One resource: which roles may use each verb on all of its rows, and which rows others may reach.

    `rows` gives, for a verb, the rows that a person without a granted role may still use it on.
    """

    resource: str
    models: tuple[str, ...]
    grants: Mapping[Verb, frozenset[Role]]
    rows: Mapping[Verb, RowFilter] = field(default_factory=dict)


def managed_by(roles: frozenset[Role], also_read: Iterable[Role] = ()) -> dict[Verb, frozenset[Role]]:
    """Grants of the usual kind: `roles` do everything, `also_read` look."""
    return dict.fromkeys(MANAGE, roles) | {Verb.READ: roles | frozenset(also_read)}


_policies: dict[str, Policy] = {}


def register(*policies: Policy) -> None:
    """Make policies known; an app calls it once, when it is ready."""
    _policies.update({policy.resource: policy for policy in policies})


def declared() -> Mapping[str, Policy]:
    return _policies


def resource_of(model: type[Model]) -> str | None:
    """The resource that `model` belongs to, or None where no policy names it."""
    label = model._meta.label
    return next((policy.resource for policy in _policies.values() if label in policy.models), None)


def roles_of(person: Person) -> frozenset[Role]:
    """The person's roles, read once per request (kept on the user object)."""
    if not isinstance(person, User) or not person.is_active:
        return frozenset()
    cached: frozenset[Role] | None = getattr(person, "_roles", None)
    if cached is None:
        names = set(person.groups.values_list("name", flat=True))
        cached = frozenset(role for role in Role if role.value in names)
        person._roles = cached  # type: ignore[attr-defined]
    return cached


def granted(person: Person, verb: Verb, resource: str) -> bool:
    """Whether a role of `person` grants `verb` on every row of `resource`."""
    return bool(roles_of(person) & _policies[resource].grants.get(verb, frozenset()))


def may(person: Person, verb: Verb, resource: str) -> bool:
    """Whether `person` may use `verb` on at least some rows of `resource`."""
    if granted(person, verb, resource):
        return True
    return isinstance(person, User) and person.is_active and verb in _policies[resource].rows


def permitted(person: Person, verb: Verb, resource: str, rows: QuerySet[M]) -> QuerySet[M]:
    """Those of `rows` on which `person` may use `verb`."""
    if granted(person, verb, resource):
        return rows
    row_filter = _policies[resource].rows.get(verb)
    if row_filter is None or not isinstance(person, User) or not person.is_active:
        return rows.none()
    return rows.filter(row_filter(person))


def may_row(person: Person, verb: Verb, resource: str, row: Any) -> bool:
    """Whether `person` may use `verb` on this one `row`."""
    if granted(person, verb, resource):
        return True
    return permitted(person, verb, resource, type(row)._default_manager.filter(pk=row.pk)).exists()
