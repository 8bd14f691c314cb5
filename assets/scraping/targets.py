"""The targets of scrape jobs, kept as their lists say: from the job itself, by http_sd, from files.

A list that cannot be had or read changes nothing: the targets that were known go on. One that vanished is not read any
more, and what is not read has no samples that could alarm; when it comes back it goes on from then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from assets.metrics import wire
from assets.metrics.protocols import mapping
from assets.models import InfrastructureAsset
from assets.scraping import discovery, schedule
from assets.scraping.discovery import MAX_LIST_BYTES, BadList, Target, TargetGroup
from assets.scraping.models import ScrapeJob, ScrapeTarget, TargetSource
from wedsync_monitor import audit, secrets
from wedsync_monitor.fetching import Fetched, Fetcher, Forbidden, Page, Unreachable

log = logging.getLogger(__name__)
LIST_TIMEOUT_SECONDS = 10.0
# A target that a list no longer has is remembered for so long.
FORGET_AFTER = timedelta(days=1)
# A list whose names change all the time fills no more than this of the list of assets.
MAX_MADE_AN_HOUR = 500
_JOBS_AT_ONCE = 50
_MAX_ERROR = 500


def refresh_due(now: datetime) -> int:
    """Bring the targets of the jobs that are due up to date; answers how many jobs there were."""
    jobs = _claim(now)
    if not jobs:
        return 0
    with Fetcher() as fetcher:
        asked = [(job, _ask(fetcher, job)) for job in jobs]
        for job, answer in asked:
            _refresh(job, answer, now)
    ScrapeTarget.objects.filter(vanished_at__lt=now - FORGET_AFTER).delete()
    return len(jobs)


def _claim(now: datetime) -> list[ScrapeJob]:
    """Jobs whose list is due, moved ahead so that nobody else takes them."""
    with transaction.atomic():
        due = ScrapeJob.objects.select_for_update(skip_locked=True).filter(is_active=True, next_refresh_at__lte=now)
        jobs = list(due.order_by("next_refresh_at")[:_JOBS_AT_ONCE])
        claimed = ScrapeJob.objects.filter(pk__in=[job.pk for job in jobs])
        claimed.update(next_refresh_at=now + F("refresh_interval") * timedelta(seconds=1))
    return jobs


def _ask(fetcher: Fetcher, job: ScrapeJob) -> Future[Fetched] | None:
    """The list's answer where it comes by HTTP."""
    if job.source != TargetSource.HTTP_SD:
        return None
    headers = {"Accept": "application/json", "X-Prometheus-Refresh-Interval-Seconds": str(job.refresh_interval)}
    try:
        headers |= secrets.reveal(job.request).get("discovery_headers", {})
    except secrets.Unreadable as error:
        refused: Future[Fetched] = Future()
        refused.set_exception(Forbidden(str(error)))
        return refused
    page = Page(job.sd_url, LIST_TIMEOUT_SECONDS, MAX_LIST_BYTES, headers, job.verify_tls, job.ca_certificate)
    return fetcher.fetch(page)


def _refresh(job: ScrapeJob, answer: Future[Fetched] | None, now: datetime) -> None:
    try:
        keep(job, discovery.targets_of(_groups(job, answer), job.scheme, job.metrics_path), now)
    except (BadList, Forbidden, Unreachable, OSError) as error:
        _note_error(job, error)
    except Exception as error:  # one job's trouble must not stop the others'
        log.exception("the targets of %s could not be brought up to date", job)
        _note_error(job, error)


def _note_error(job: ScrapeJob, error: Exception) -> None:
    told = str(error).replace("\0", "")[:_MAX_ERROR]
    ScrapeJob.objects.filter(pk=job.pk).update(last_refresh_error=told or type(error).__name__)


def _groups(job: ScrapeJob, answer: Future[Fetched] | None) -> list[TargetGroup]:
    """Raises BadList, Forbidden, Unreachable, OSError."""
    if answer is not None:
        return _groups_of_answer(answer.result())
    if job.source == TargetSource.FILE_SD:
        return _groups_of_files(job.sd_file)
    return msgspec.convert(job.static_targets, list[TargetGroup])


def _groups_of_answer(fetched: Fetched) -> list[TargetGroup]:
    if fetched.status != 200:
        raise BadList(f"the list was answered with HTTP {fetched.status}; redirects are not followed")
    try:
        body = wire.unpack(fetched.body, fetched.headers.get("content-encoding", ""), MAX_LIST_BYTES)
    except (wire.TooLarge, wire.Malformed) as error:
        raise BadList(str(error)) from error
    return discovery.groups_from_json(body)


def _groups_of_files(pattern: str) -> list[TargetGroup]:
    folder = Path(settings.FILE_SD_DIR).resolve()
    groups: list[TargetGroup] = []
    files = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if not files:
        raise BadList(f"no file like {pattern} is in the folder that WEDSYNC_FILE_SD names")
    for file in files:
        if not file.resolve().is_relative_to(folder):
            raise BadList(f"{file.name} leads out of the folder")
        with file.open("rb") as opened:
            body = opened.read(MAX_LIST_BYTES + 1)
        if len(body) > MAX_LIST_BYTES:
            raise BadList(f"{file.name} has more than {MAX_LIST_BYTES} bytes")
        read = discovery.groups_from_json if file.suffix == ".json" else discovery.groups_from_yaml
        try:
            groups += read(body)
        except BadList as error:
            raise BadList(f"{file.name}: {error}") from error
    return groups


def keep(job: ScrapeJob, found: Sequence[Target], now: datetime) -> None:
    """Make the stored targets of `job` those that were `found`, in a fixed number of statements."""
    with transaction.atomic():
        # A slower look that began earlier must not undo this one, nor bring a job back that was deleted meanwhile.
        held = ScrapeJob.objects.select_for_update().filter(pk=job.pk).filter(_not_newer(now)).first()
        if held is None:
            return
        owners = _owners(job, found)
        # Those who read targets hold them in the same order.
        rows = ScrapeTarget.objects.select_for_update(of=("self",)).filter(job=job).order_by("pk")
        stored = {row.url: row for row in rows}
        new, changed = [], []
        for target in found:
            row = stored.pop(target.url, None)
            if row is None:
                new.append(_row(job, target, owners[target.url], now))
            elif _update(row, job, target, owners[target.url], now):
                changed.append(row)
        ScrapeTarget.objects.bulk_create(new, batch_size=1000)
        columns = ["address", "labels", "asset", "asset_problem", "vanished_at", "next_scrape_at"]
        ScrapeTarget.objects.bulk_update(changed, columns, batch_size=1000)
        gone = [row.pk for row in stored.values() if row.vanished_at is None]
        ScrapeTarget.objects.filter(pk__in=gone).update(vanished_at=now)
        ScrapeJob.objects.filter(pk=job.pk).update(last_refresh_at=now, last_refresh_error="")


def _not_newer(now: datetime) -> Q:
    return Q(last_refresh_at=None) | Q(last_refresh_at__lte=now)


def _row(job: ScrapeJob, target: Target, owner: _Owner, now: datetime) -> ScrapeTarget:
    return ScrapeTarget(
        job=job,
        address=target.address,
        url=target.url,
        labels=dict(target.labels),
        asset=owner.asset,
        asset_problem=owner.problem,
        next_scrape_at=schedule.next_slot(target.url, job.interval, now),
    )


def _update(row: ScrapeTarget, job: ScrapeJob, target: Target, owner: _Owner, now: datetime) -> bool:
    """Bring a stored target up to date; whether that changed it."""
    # A target that came back waits for its slot, as one does whose interval became shorter.
    slot = schedule.next_slot(target.url, job.interval, now)
    following = slot if row.vanished_at is not None else min(row.next_scrape_at, slot)
    wanted = {
        "address": target.address,
        "labels": dict(target.labels),
        "asset_id": owner.asset.pk if owner.asset else None,
        "asset_problem": owner.problem,
        "vanished_at": None,
        "next_scrape_at": following,
    }
    changed = any(getattr(row, name) != value for name, value in wanted.items())
    for name, value in wanted.items():
        setattr(row, name, value)
    return changed


@dataclass(frozen=True)
class _Owner:
    """Whose a target's series are, or why nobody's."""

    asset: InfrastructureAsset | None
    problem: str = ""


def _owners(job: ScrapeJob, found: Sequence[Target]) -> dict[str, _Owner]:
    """The owner of each target by its URL: the job's asset, or the one that its labels or address name."""
    if job.asset_id is not None:
        return dict.fromkeys((target.url for target in found), _Owner(job.asset))
    names = {target.url: _name_of(job, target) for target in found}
    wanted = {name for name in names.values() if name}
    known = {one.asset_name: one for one in InfrastructureAsset.objects.filter(asset_name__in=wanted)}
    if job.create_assets:
        known |= _create(job, sorted(wanted - set(known))[: _room(job)])
    return {url: _owner(job, name, known) for url, name in names.items()}


def _owner(job: ScrapeJob, name: str | None, known: dict[str, InfrastructureAsset]) -> _Owner:
    if name in known:
        return _Owner(known[name])
    if name is None:
        label = f"a label {job.asset_label}" if job.asset_label else "an asset in the job, or a label asset"
        return _Owner(None, f"nothing names its asset; give it {label}")
    if job.create_assets:
        return _Owner(None, f"no asset has the name {name!r} yet: a job makes at most {MAX_MADE_AN_HOUR} in an hour")
    return _Owner(None, f"no asset has the name {name!r}; register it, or let the job make assets")


def _name_of(job: ScrapeJob, target: Target) -> str | None:
    """The asset that a target names: by the job's label, else by the rules of all ways in (docs/ways-in.md)."""
    labels = {**job.labels, **target.labels}
    if job.asset_label:
        return labels.get(job.asset_label)
    return mapping.owner({"instance": target.address, **labels})[0]


def _room(job: ScrapeJob) -> int:
    """How many assets the job may make now; whoever asks holds the job's row."""
    lately = InfrastructureAsset.objects.filter(
        created_at__gt=Now() - timedelta(hours=1), configuration__discovered__job=str(job.pk)
    )
    return max(MAX_MADE_AN_HOUR - lately.count(), 0)


def _create(job: ScrapeJob, names: Sequence[str]) -> dict[str, InfrastructureAsset]:
    made = {}
    with audit.acting(f"scrape job {job.job_name}"):
        for name in names:
            made[name], _ = InfrastructureAsset.objects.get_or_create(
                asset_name=name,
                defaults={
                    "asset_type": "server",
                    "asset_category": "compute",
                    "environment": job.environment,
                    "tags": ["discovered:scrape"],
                    "configuration": {"discovered": {"job": str(job.pk), "label": job.job_name}},
                },
            )
    return made
