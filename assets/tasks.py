"""The background work of assets: beat ticks, these call."""

from datetime import UTC, datetime

from celery import shared_task

from assets import agents, assessment
from assets.heartbeats import pings
from assets.metrics import catalogue, compaction, head
from assets.scraping import rounds, targets


@shared_task
def refresh_health() -> None:
    assessment.assess_all(datetime.now(UTC))


@shared_task
def watch_agents() -> None:
    agents.mark_silent(datetime.now(UTC))


@shared_task
def compact_metrics() -> None:
    now = datetime.now(UTC)
    head.make_ahead(now)
    compaction.compact(now)
    catalogue.note_seen(now)


@shared_task
def tally_series() -> None:
    catalogue.tally(datetime.now(UTC))


@shared_task
def recount_series() -> None:
    catalogue.recount(datetime.now(UTC))


@shared_task
def forget_discoveries() -> None:
    agents.forget_discoveries(datetime.now(UTC))


@shared_task
def check_heartbeats() -> None:
    """Until none is due: what could not be stored stays due for the next tick."""
    while pings.check_due(datetime.now(UTC)):
        pass


@shared_task
def scrape_due_targets() -> None:
    rounds.scrape_due()


@shared_task
def refresh_scrape_targets() -> None:
    targets.refresh_due(datetime.now(UTC))
