"""What every test may use: people by role, assets, the partitions of today, and a network that ends at loopback."""

from __future__ import annotations

import ipaddress
import socket
import tracemalloc  # noqa: F401  (pytest imports it where warnings are raised, and two threads at once would break it)
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import compress
from typing import Any

import hypothesis
import pytest
from django.contrib.auth.models import Group

from wedsync_monitor.models import User
from wedsync_monitor.policy import Role

# How fast a machine is says nothing about the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any) -> None:
    """The test database, with the roles and partitions that every installation has after its first start.

    It goes with its server, so nothing drops it.
    """
    from django.test.utils import setup_databases

    from wedsync_monitor import partitions
    from wedsync_monitor.embedded.first_start import create_roles
    from wedsync_monitor.retention import partitioned_tables

    with django_db_blocker.unblock():
        setup_databases(verbosity=0, interactive=False)
        create_roles()
        for table in partitioned_tables():
            partitions.maintain(table, datetime.now(UTC).date() + timedelta(days=1))


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hash passwords at once: the slow hash is Django's own and takes a good part of a second for every person."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def no_evaluation_delay(settings: Any) -> None:
    """What a test stores at `now` is judged at `now`."""
    settings.EVALUATION_DELAY_SECONDS = 0


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database without a transaction around the test: what other connections, threads and processes see."""
    from django.apps import apps
    from django.db import connection, connections, transaction

    from assets import authentication
    from assets.metrics import committing, directory, layouts, owners, recent

    kept = {"auth_group", "auth_group_permissions", "auth_permission", "django_content_type"}
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
    tables |= {"metric_frame", "metric_block", "metric_daily", "metric_daily_due", "metric_label"}
    tables |= {"metric_series_change", "metric_restored", "metric_expiry"}
    emptied = sorted(tables - kept)
    with django_db_blocker.unblock():
        yield
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT FROM {table})" for table in emptied))
            # TRUNCATE makes every partition and index anew, which takes a second; foreign keys wait for the commit.
            for table in compress(emptied, cursor.fetchone()):
                cursor.execute(f"DELETE FROM {table}")
        connections.close_all()
    if looking_up := getattr(committing._local, "connection", None):
        looking_up.close()
    layouts.forget()
    owners.forget()
    directory.forget()
    recent.forget()
    authentication._senders.clear()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """A transaction that is rolled back, unless the test asked for `committed` rows."""
    request.getfixturevalue("committed" if "committed" in request.fixturenames else "db")


@pytest.fixture
def person(database: None) -> Callable[..., User]:
    """Make a person with roles: `person(Role.SRE)`; without arguments, one who has none."""
    counter = iter(range(1000))

    def make(*roles: Role, username: str = "") -> User:
        user = User.objects.create_user(username or f"person-{next(counter)}", password="a long pass phrase")
        user.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
        return user

    return make


@pytest.fixture
def asset(database: None) -> Callable[..., Any]:
    """Make an asset: `asset("web-01", environment="staging")`."""
    from assets.models import InfrastructureAsset

    def make(name: str = "web-01", **columns: Any) -> InfrastructureAsset:
        defaults = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
        return InfrastructureAsset.objects.create(asset_name=name, **(defaults | columns))

    return make


@pytest.fixture
def signed_in(person: Callable[..., User]) -> Callable[..., Any]:
    """A browser in which a person with these roles is signed in: `signed_in(Role.SRE).get("/admin/monitoring")`."""
    from django.test import Client

    def client(*roles: Role, user: User | None = None) -> Client:
        browser = Client()
        browser.force_login(user or person(*roles))
        return browser

    return client


@pytest.fixture
def api(person: Callable[..., User]) -> Callable[..., Any]:
    """A DRF client signed in as a person with these roles: `api(Role.VIEWER).get("/api/monitoring/assets")`."""
    from rest_framework.test import APIClient

    def client(*roles: Role, user: User | None = None) -> APIClient:
        signed_in = APIClient()
        signed_in.force_login(user or person(*roles))
        return signed_in

    return client
