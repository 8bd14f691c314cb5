"""The console's list of what the server reads."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from assets.scraping.listing import STATES, in_state, with_counts
from assets.scraping.models import ScrapeJob, ScrapeTarget
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

TONES = {"up": "tone-good", "down": "tone-bad", "without asset": "tone-warn"}
_JOBS_SHOWN = 100


@guarded("scraping", GET=Verb.READ)
def target_list(request: HttpRequest) -> HttpResponse:
    """Jobs with what their lists come to, and the targets with their last reading."""
    frame, q, state = htmx.frame_of(request), htmx.text_of(request), request.GET.get("state", "")
    rows = policy.permitted(
        request.user, Verb.READ, "scraping", ScrapeTarget.objects.select_related("job", "asset")
    ).order_by("address", "pk")
    if frame["environment"] != "all":
        rows = rows.filter(asset__environment=frame["environment"])
    if q:
        rows = rows.filter(address__icontains=q)
    if state in STATES:
        rows = in_state(rows, state)
    for column in ("job", "asset"):
        if chosen := _uuid(request.GET.get(column, "")):
            rows = rows.filter(**{f"{column}_id": chosen})
    page = htmx.page_of(request, rows)
    for target in page:
        target.tone = TONES.get(target.state, "tone-none")
    jobs = policy.permitted(request.user, Verb.READ, "scraping", ScrapeJob.objects.order_by("job_name"))
    context = {**frame, "page": page, "q": q, "state": state, "states": STATES}
    context["jobs"] = with_counts(jobs)[:_JOBS_SHOWN]
    context["may_manage"] = policy.granted(request.user, Verb.CHANGE, "scraping")
    return htmx.respond(request, "assets/scraping.html", "assets/_scraping.html", context)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
