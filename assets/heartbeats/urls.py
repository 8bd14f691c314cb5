"""Where jobs ping, as users of healthchecks.io expect it."""

from django.urls import path

from assets.heartbeats import endpoint

urlpatterns = [
    path("ping/<uuid:key>", endpoint.ping, name="ping"),
    path("ping/<uuid:key>/start", endpoint.ping, {"said": "start"}, name="ping-start"),
    path("ping/<uuid:key>/fail", endpoint.ping, {"said": "fail"}, name="ping-fail"),
    path("ping/<uuid:key>/log", endpoint.ping, {"said": "log"}, name="ping-log"),
    path("ping/<uuid:key>/<int:exit_status>", endpoint.exited, name="ping-exited"),
]
