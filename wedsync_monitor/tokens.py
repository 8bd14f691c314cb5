"""People's bearer tokens for programs: made, shown once, checked, revoked."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from wedsync_monitor import audit
from wedsync_monitor.models import ApiToken, TokenScope, User

LIFETIME = timedelta(days=365)
# A token says what it is at first sight, to people and to secret scanners.
PREFIX = "wst_"
_SAFE = ("GET", "HEAD", "OPTIONS")
# A reader's token and roles are looked up anew this often: a revocation, or a role that is taken away, takes effect on
# such requests within this time.
REMEMBERED_SECONDS = 5.0
_REMEMBERED_AT_MOST = 10_000


def digest(secret: str) -> bytes:
    """What is stored of a bearer secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def issue(
    user: User,
    label: str,
    now: datetime,
    scope: str = TokenScope.FULL,
    lifetime: timedelta = LIFETIME,
    may_discover: bool = False,
) -> str:
    """Make a token for `user` and answer its secret: the only time that it is shown."""
    secret = PREFIX + secrets.token_urlsafe(32)
    ApiToken.objects.create(
        user=user,
        label=label,
        digest=digest(secret),
        scope=scope,
        may_discover=may_discover,
        expires_at=now + lifetime,
    )
    return secret


def valid(now: datetime) -> Q:
    return Q(revoked_at=None, expires_at__gt=now, user__is_active=True)


def bearer(header: bytes) -> str | None:
    """The secret in an Authorization header, or None where it is not of the form `Bearer …`."""
    scheme, _, secret = header.decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


class TokenAuthentication(BaseAuthentication):
    """DRF's view of people's tokens. An agent's key does not pass here: it opens the agent endpoints only."""

    # The methods that a token of the scope "read" may use.
    reading: tuple[str, ...] = _SAFE

    def secret(self, header: bytes) -> str | None:
        """The token in an Authorization header; None where there is none."""
        return bearer(header)

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        secret = self.secret(get_authorization_header(request))
        if secret is None:
            return None
        token = _valid_token(secret, timezone.now())
        _limit(token, request.method, self.reading)
        audit.act_as(token.user)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class QueryTokenAuthentication(TokenAuthentication):
    """The same for endpoints where a query may be sent by POST too, and by clients that know Basic only: then the token
    is the password, and the name does not matter."""

    reading = (*_SAFE, "POST")

    def secret(self, header: bytes) -> str | None:
        return bearer(header) or password(header)


def password(header: bytes) -> str | None:
    """The password in an Authorization header of the form `Basic …`; None where it is of another."""
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    return decoded.partition(":")[2] or None


@dataclass(frozen=True)
class _Remembered:
    token: ApiToken
    until: float


_readers: dict[bytes, _Remembered] = {}
_lock = threading.Lock()


def reader_of(header: bytes, method: str | None) -> User | None:
    """Who asks with this Authorization header for what QueryTokenAuthentication guards; None where it has no token.

    Only for requests that change nothing: what is found is kept for REMEMBERED_SECONDS, with the roles.
    Raises AuthenticationFailed and PermissionDenied.
    """
    secret = bearer(header) or password(header)
    if secret is None:
        return None
    held = digest(secret)
    known = _readers.get(held)
    if known is None or known.until < time.monotonic():
        known = _Remembered(_valid_token(secret, timezone.now()), time.monotonic() + REMEMBERED_SECONDS)
        with _lock:
            if len(_readers) >= _REMEMBERED_AT_MOST:
                _readers.clear()
            _readers[held] = known
    _limit(known.token, method, QueryTokenAuthentication.reading)
    return known.token.user


def _valid_token(secret: str, now: datetime) -> ApiToken:
    """The token with this secret, with its person; its use is noted. Raises AuthenticationFailed."""
    token = ApiToken.objects.select_related("user").filter(valid(now), digest=digest(secret)).first()
    if token is None and not secret.startswith(PREFIX):
        raise AuthenticationFailed(
            f"Send a person's token ({PREFIX}…): an agent's key sends its asset's metrics and cannot read."
        )
    if token is None:
        raise AuthenticationFailed("This token is unknown, expired or revoked; ask an administrator for a new one.")
    _note_use(token, now)
    return token


def _limit(token: ApiToken, method: str | None, reading: tuple[str, ...]) -> None:
    if token.scope == TokenScope.METRICS:
        raise PermissionDenied("This token may only send metrics.")
    if token.scope == TokenScope.READ and method not in reading:
        raise PermissionDenied("This token may only read.")


def _note_use(token: ApiToken, now: datetime) -> None:
    if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=5):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
