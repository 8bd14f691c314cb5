"""The certificates that checks saw last, over all checks, the earliest expiry first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT

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


@dataclass(frozen=True)
class Line:
    """A check with the certificate of its chain that ends first; the chain's days are those of the verified one."""

    check: SyntheticCheck
    target: str
    first_to_end: Certificate
    seen_at: datetime


def by_expiry(checks: QuerySet[SyntheticCheck], now: datetime) -> QuerySet[Any]:
    """Checks that saw a certificate lately, the earliest expiry first, with `certificate` and `seen_at`."""
    seen = SyntheticCheckResult.objects.filter(
        synthetic_check=OuterRef("pk"),
        check_timestamp__gt=now - _FRESH,
        check_timestamp__lte=now,
        certificate_info__earliest_days_left__isnull=False,
    ).order_by("-check_timestamp")
    ends = Subquery(seen.annotate(ends=KT("certificate_info__earliest_served_expiry")).values("ends")[:1])
    told = {name: Subquery(seen.values(column)[:1]) for name, column in _TOLD.items()}
    return checks.filter(USES_TLS).annotate(ends=ends, **told).filter(ends__isnull=False).order_by(F("ends"), "pk")


_TOLD = {"certificate": "certificate_info", "seen_at": "check_timestamp"}


def lines_of(checks: Sequence[Any], now: datetime) -> list[Line]:
    """The lines of a page of `by_expiry`."""
    return [
        Line(check, standing.target_of(check), min(chain, key=lambda one: one.not_after), check.seen_at)
        for check in checks
        if (chain := detail.chain_of(check.certificate, now))
    ]
