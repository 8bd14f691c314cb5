"""The certificates that checks saw last, over all checks, the earliest expiry first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from synthetic import detail, standing
from synthetic.detail import Certificate
from synthetic.models import SyntheticCheck, SyntheticCheckResult

# Of checks without TLS all results would be read in vain.
USES_TLS = (
    Q(check_type="ssl")
    | Q(target_url__istartswith="https:")
    | Q(check_config__tls=True)
    | Q(check_config__starttls__gt="")
)
# For so long a certificate that was seen last still counts.
_FRESH = timedelta(days=7)


_TOLD = {"certificate": "certificate_info", "seen_at": "check_timestamp"}


@dataclass(frozen=True)
class Line:
    """A check, its certificate, and which one of the chain ends first; of the chain as it was verified, and as it was
    served where nothing verified it."""

    check: SyntheticCheck
    target: str
    leaf: Certificate
    first_to_end: str
    ends_at: datetime
    days_left: float
    seen_at: datetime

    @property
    def tone(self) -> str:
        return detail.tone_of_days(self.days_left)


def last_of(check: SyntheticCheck, seen: Sequence[SyntheticCheckResult], now: datetime) -> SyntheticCheckResult | None:
    """The newest result with a certificate: of `seen`, its last results, else of the last 7 days."""
    recent = next((one for one in seen if "earliest_days_left" in (one.certificate_info or {})), None)
    if recent is not None or not SyntheticCheck.objects.filter(USES_TLS, pk=check.pk).exists():
        return recent
    return _with_certificate(now).filter(synthetic_check=check).first()


def _with_certificate(now: datetime) -> QuerySet[SyntheticCheckResult]:
    return SyntheticCheckResult.objects.filter(
        check_timestamp__gt=now - _FRESH,
        check_timestamp__lte=now,
        certificate_info__earliest_days_left__isnull=False,
    ).order_by("-check_timestamp")


def by_expiry(checks: QuerySet[SyntheticCheck], now: datetime) -> QuerySet[Any]:
    """Checks that saw a certificate lately, the earliest expiry first, with `ends`, `certificate` and `seen_at`."""
    seen = _with_certificate(now).filter(synthetic_check=OuterRef("pk"))
    expiry = Coalesce(KT("certificate_info__earliest_verified_expiry"), KT("certificate_info__earliest_served_expiry"))
    ends = Subquery(seen.annotate(ends=expiry).values("ends")[:1])
    told = {name: Subquery(seen.values(column)[:1]) for name, column in _TOLD.items()}
    return checks.filter(USES_TLS).annotate(ends=ends, **told).filter(ends__isnull=False).order_by("ends", "pk")


def lines_of(checks: Sequence[Any], now: datetime) -> list[Line]:
    """The lines of a page of `by_expiry`."""
    return [_line(check, chain, now) for check in checks if (chain := detail.chain_of(check.certificate, now))]


def _line(check: Any, chain: Sequence[Certificate], now: datetime) -> Line:
    ends = datetime.fromisoformat(check.ends)
    # A root comes from the trust store and not from the server.
    first = next((one.subject for one in chain if one.not_after == ends), "a certificate that is not served")
    days = round((ends - now).total_seconds() / 86400, 1)
    return Line(check, standing.target_of(check), chain[0], first, ends, days, check.seen_at)
