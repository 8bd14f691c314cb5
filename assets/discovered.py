"""Unknown hosts that become assets when samples name them: whose token allows it, how many, and what they are then."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from assets.models import InfrastructureAsset
from wedsync_monitor import audit, schema, tokens
from wedsync_monitor.models import ApiToken

# A token whose sender makes up a name for every request fills no more than this of the list of assets.
MAX_AN_HOUR = 100
REFUSED = (
    f"it was not discovered, because a token may discover {MAX_AN_HOUR} assets in an hour, and only by names that are "
    "texts of 1 to 200 printable characters and no ids; register the asset or send again later"
)


def discover(names: Collection[str], token_id: UUID, now: datetime) -> dict[str, UUID]:
    """The ids of the assets that are made of `names`, of which none exists; those that may not be are left out.

    They are servers of the production environment, marked by `configuration.discovered`, and the token's person is
    audited as their maker.
    """
    wanted = sorted(name for name in names if _is_host(name))
    with transaction.atomic():
        token = (
            ApiToken.objects.select_related("user").filter(tokens.valid(now), pk=token_id, may_discover=True).first()
        )
        if token is None or not wanted:
            return {}
        _alone(token)
        known = dict(InfrastructureAsset.objects.filter(asset_name__in=wanted).values_list("asset_name", "pk"))
        unknown = [name for name in wanted if name not in known]
        with audit.acting(token.user):
            made = [_make(name, token) for name in unknown[: _room(token, now)]]
    return known | {asset.asset_name: asset.pk for asset in made}


def _is_host(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return name == name.strip() != "" and name.isprintable() and len(name) <= schema.MAX_NAME_LENGTH
    return False


def _alone(token: ApiToken) -> None:
    """Until the end of the transaction no other process makes assets for this token, so that its limit holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"discovered {token.pk}"])


def _room(token: ApiToken, now: datetime) -> int:
    lately = InfrastructureAsset.objects.filter(
        created_at__gt=now - timedelta(hours=1), configuration__discovered__token=str(token.pk)
    )
    return max(MAX_AN_HOUR - lately.count(), 0)


def _make(name: str, token: ApiToken) -> InfrastructureAsset:
    asset, _ = InfrastructureAsset.objects.get_or_create(
        asset_name=name,
        defaults={
            "asset_type": "server",
            "asset_category": "compute",
            "environment": "production",
            "configuration": {"discovered": {"token": str(token.pk), "label": token.label}},
            "created_by": token.user,
        },
    )
    return asset
