"""Agents' keys: made, checked, rotated without a gap; and who may send metrics."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from assets.metrics.ingestion import Sender
from assets.models import AgentKey, MonitoringAgent
from wedsync_monitor import audit, policy, tokens
from wedsync_monitor.models import ApiToken, TokenScope
from wedsync_monitor.policy import Verb

if TYPE_CHECKING:
    from rest_framework.views import APIView

PREFIX = "wsa_"
KEY_LIFETIME = timedelta(days=365)
# Before a key expires its agent is asked to take a new one.
ROTATE_BEFORE = timedelta(days=30)
# How long the old key still works once the new one has been used.
OVERLAP = timedelta(hours=1)
# A key is looked up anew this often; the transaction that stores checks each time whether it is still valid.
REMEMBERED_SECONDS = 10.0


def issue_key(agent: MonitoringAgent, now: datetime, lifetime: timedelta = KEY_LIFETIME) -> tuple[AgentKey, str]:
    """Make a key for `agent`; its secret is shown this once."""
    secret = PREFIX + secrets.token_urlsafe(32)
    key = AgentKey.objects.create(agent=agent, digest=tokens.digest(secret), created_at=now, expires_at=now + lifetime)
    return key, secret


def rotate(key: AgentKey, now: datetime) -> tuple[AgentKey, str]:
    """A key that replaces `key`, and its secret. Those that the agent asked for before and never used (the answer was
    lost on the way) are revoked, so that asking again does not breed keys."""
    with transaction.atomic():
        MonitoringAgent.objects.select_for_update().get(pk=key.agent_id)
        lost = AgentKey.objects.filter(
            agent_id=key.agent_id, revoked_at=None, first_used_at=None, created_at__gt=key.created_at
        )
        for one in lost.exclude(pk=key.pk):
            one.revoked_at = now
            one.save(update_fields=["revoked_at"])
        return issue_key(key.agent, now)


def find_agent_key(secret: str, now: datetime) -> AgentKey | None:
    """The valid key with this secret, with its agent."""
    valid = Q(revoked_at=None, expires_at__gt=now, agent__is_active=True)
    return AgentKey.objects.select_related("agent__asset").filter(valid, digest=tokens.digest(secret)).first()


def note_first_use(key: AgentKey, now: datetime) -> None:
    """From its first use a new key lets the older ones run out."""
    if key.first_used_at is not None:
        return
    with transaction.atomic():
        if AgentKey.objects.filter(pk=key.pk, first_used_at=None).update(first_used_at=now):
            older = AgentKey.objects.filter(
                agent_id=key.agent_id, revoked_at=None, created_at__lt=key.created_at, expires_at__gt=now + OVERLAP
            )
            for one in older:
                one.expires_at = now + OVERLAP
                one.save(update_fields=["expires_at"])


class AgentKeyAuthentication(BaseAuthentication):
    """Opens the agents' own endpoints to an agent's key, and nothing else."""

    def authenticate(self, request: Request) -> tuple[MonitoringAgent, AgentKey]:
        secret = tokens.bearer(get_authorization_header(request))
        key = find_agent_key(secret, timezone.now()) if secret else None
        if key is None:
            raise AuthenticationFailed("Send a valid agent key: Authorization: Bearer wsa_…")
        audit.act_as(f"agent {key.agent.agent_name}")
        note_first_use(key, timezone.now())
        return key.agent, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class IsAgent(BasePermission):
    """The request carries an agent's key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, AgentKey)


@dataclass(frozen=True)
class _Remembered:
    sender: Sender
    until: float


class NotAllowed(Exception):
    """The credential is good, but it does not allow sending metrics."""


_senders: dict[bytes, _Remembered] = {}
_lock = threading.Lock()


def sender_of(header: bytes, now: datetime) -> Sender | None:
    """Who sends metrics with this Authorization header; None where the credential is unknown, expired or revoked.

    Raises NotAllowed. What was found is kept for REMEMBERED_SECONDS.
    """
    secret = tokens.bearer(header)
    if secret is None:
        return None
    digest = tokens.digest(secret)
    known = _senders.get(digest)
    if known and known.until > time.monotonic():
        return known.sender
    sender = _agent_sender(secret, now) if secret.startswith(PREFIX) else _person_sender(digest, now)
    if sender is None:
        return None
    with _lock:
        if len(_senders) > 50_000:
            _senders.clear()
        _senders[digest] = _Remembered(sender, time.monotonic() + REMEMBERED_SECONDS)
    return sender


def _agent_sender(secret: str, now: datetime) -> Sender | None:
    key = find_agent_key(secret, now)
    if key is None:
        return None
    with audit.acting(f"agent {key.agent.agent_name}"):
        note_first_use(key, now)
    return Sender(credential=key.pk, agent_id=key.agent_id, own_asset=key.agent.asset_id)


def _person_sender(digest: bytes, now: datetime) -> Sender | None:
    token = ApiToken.objects.select_related("user").filter(tokens.valid(now), digest=digest).first()
    if token is None:
        return None
    if token.scope == TokenScope.READ or not policy.may(token.user, Verb.SEND, "metrics"):
        raise NotAllowed
    return Sender(credential=token.pk, may_discover=token.may_discover)


def forget(credential: UUID) -> None:
    """Look the credential up anew on its next use."""
    with _lock:
        stale = [held for held, known in _senders.items() if known.sender.credential == credential]
        for held in stale:
            del _senders[held]
