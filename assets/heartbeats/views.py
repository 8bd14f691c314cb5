"""The console's list of heartbeats, with the addresses that jobs ping."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from assets.heartbeats.models import Heartbeat
from assets.heartbeats.pings import with_state
from assets.heartbeats.states import State
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

TONES = {State.UP: "tone-good", State.LATE: "tone-warn", State.DOWN: "tone-bad"}


@guarded("heartbeats", GET=Verb.READ)
def heartbeat_list(request: HttpRequest) -> HttpResponse:
    """All heartbeats and how they stand."""
    frame, q, state = htmx.frame_of(request), htmx.text_of(request), request.GET.get("state", "")
    readable = policy.permitted(request.user, Verb.READ, "heartbeats", Heartbeat.objects.select_related("asset"))
    rows = with_state(readable, timezone.now()).order_by("heartbeat_name")
    if frame["environment"] != "all":
        rows = rows.filter(asset__environment=frame["environment"])
    if q:
        rows = rows.filter(heartbeat_name__icontains=q)
    if state in list(State):
        rows = rows.filter(shown_state=state)
    page = htmx.page_of(request, rows)
    for beat in page:
        beat.tone = TONES.get(State(beat.shown_state), "tone-none")
    context = {**frame, "page": page, "q": q, "state": state, "states": [one.value for one in State]}
    context["may_manage"] = policy.granted(request.user, Verb.CHANGE, "heartbeats")
    return htmx.respond(request, "assets/heartbeat_list.html", "assets/_heartbeats.html", context)
