"""How agents get in: single-use tokens, and this machine's own agent on the first start."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction

from assets.authentication import issue_key
from assets.models import AgentKey, EnrolmentToken, InfrastructureAsset, MonitoringAgent
from wedsync_monitor import tokens
from wedsync_monitor.embedded.keys import write_private
from wedsync_monitor.models import User

TOKEN_PREFIX = "wse_"
TOKEN_LIFETIME = timedelta(hours=1)


class Taken(Exception):
    """An agent of this name reports for another asset."""


class Spent(Exception):
    """The enrolment token is unknown, used or expired."""


def issue_token(
    agent_name: str,
    asset: InfrastructureAsset,
    person: User | None,
    now: datetime,
    lifetime: timedelta = TOKEN_LIFETIME,
) -> tuple[EnrolmentToken, str]:
    """A token that lets one agent in, once; its secret is shown this once. Raises Taken."""
    if MonitoringAgent.objects.filter(agent_name=agent_name).exclude(asset=asset).exists():
        raise Taken(f"the agent {agent_name} reports for another asset; choose another name")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(24)
    row = EnrolmentToken.objects.create(
        digest=tokens.digest(secret),
        agent_name=agent_name,
        asset=asset,
        created_by=person,
        expires_at=now + lifetime,
    )
    return row, secret


def enrol(secret: str, agent_version: str, now: datetime) -> tuple[AgentKey, str]:
    """Spend the token and answer the new agent's key and its secret. Of two that race, one wins. Raises Spent."""
    with transaction.atomic():
        digest = tokens.digest(secret)
        claimed = EnrolmentToken.objects.filter(digest=digest, used_at=None, expires_at__gt=now).update(used_at=now)
        if not claimed:
            raise Spent("this enrolment token is unknown, used or expired; ask for a new one")
        token = EnrolmentToken.objects.select_related("asset").get(digest=digest)
        agent, _ = MonitoringAgent.objects.update_or_create(
            agent_name=token.agent_name,
            defaults={"asset": token.asset, "agent_version": agent_version, "is_active": True},
        )
        token.agent = agent
        token.save()
        return issue_key(agent, now)


def enrol_by_name(agent_name: str, asset: InfrastructureAsset, now: datetime) -> str:
    """A key for the agent of this name, which is made where it is missing. Raises Taken."""
    with transaction.atomic():
        agent, _ = MonitoringAgent.objects.get_or_create(agent_name=agent_name, defaults={"asset": asset})
        if agent.asset_id != asset.pk:
            raise Taken(f"the agent {agent_name} reports for another asset; choose another name")
        return issue_key(agent, now)[1]


def enrol_this_machine(host: str, key_file: Path, now: datetime) -> None:
    """This machine as an asset with an agent, whose key is in `key_file` (mode 600), where there is none yet."""
    if key_file.exists() and _is_held(key_file.read_text().strip(), now):
        return
    asset, _ = InfrastructureAsset.objects.get_or_create(
        asset_name=host,
        defaults={
            "asset_type": "server",
            "asset_category": "compute",
            "environment": "production",
            "tags": ["role:monitoring"],
        },
    )
    agent, _ = MonitoringAgent.objects.get_or_create(
        agent_name=f"{host} agent", defaults={"asset": asset, "collection_interval": 10}
    )
    key_file.unlink(missing_ok=True)
    write_private(key_file, issue_key(agent, now)[1])


def _is_held(secret: str, now: datetime) -> bool:
    """Whether this database knows the key: the data folder may have been used with another one. A key that a person
    revoked stays; one that ran out while the machine was off does not."""
    known = AgentKey.objects.filter(digest=tokens.digest(secret))
    return known.exclude(revoked_at=None, expires_at__lte=now).exists()
