"""Any service that Apprise speaks to over HTTP.

Apprise's services open their own connections. Here each is given a `requests` whose connections go through
wedsync_monitor.outgoing: names are resolved once and checked, private networks stay closed, redirects are not followed.
A service that reaches for anything else (mail, sockets, the desktop, files) is refused.
"""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import apprise
import requests
from apprise.plugins.base import NotifyBase
from requests.adapters import BaseAdapter

from alerts.channels import webhook
from alerts.channels.base import Message, NotDelivered
from wedsync_monitor import outgoing

# It writes URLs into the log, and those hold tokens; what went wrong is on the delivery.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
# What a service may import besides `requests`: nothing that reaches the network, other programs or files.
HARMLESS = frozenset(
    {
        "apprise.exception",
        "base64",
        "contextlib",
        "gzip",
        "hashlib",
        "hmac",
        "io",
        "json",
        "logging",
        "math",
        "os",
        "re",
    }
    | {"secrets", "time", "uuid"}
)
KINDS = {"resolved": "success", "acknowledged": "info", "test": "info"}
# What went wrong last while a message is sent: Apprise itself says no more than that it failed.
_outcome: ContextVar[list[outgoing.Answer | Exception]] = ContextVar("outcome")


class Unusable(Exception):
    """The URL is not one of a service that may be used; the text says what to send instead."""


class _Guarded(BaseAdapter):
    """The transport of `requests`, by the one way out."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        body = request.body or b""
        if not isinstance(body, str | bytes):
            raise requests.exceptions.InvalidSchema("files and streams are not sent")
        sent = body.encode() if isinstance(body, str) else body
        headers = {name: str(value) for name, value in request.headers.items()}
        for ours in ("Connection", "Accept-Encoding"):
            headers.pop(ours, None)
        try:
            answer = outgoing.request(request.method or "POST", request.url or "", sent, headers)
        except (outgoing.Forbidden, outgoing.Unreachable) as error:
            _outcome.get().append(error)
            raise requests.ConnectionError(str(error)) from error
        _outcome.get().append(answer)
        return _response(request, answer)

    def close(self) -> None:
        pass


def _response(request: requests.PreparedRequest, answer: outgoing.Answer) -> requests.Response:
    response = requests.Response()
    response.status_code, response.request, response.url = answer.status, request, request.url or ""
    response.headers.update(answer.headers)
    response._content = answer.body
    return response


class _Requests(types.ModuleType):
    """What a service finds under the name `requests`: the same names, over the guarded transport."""

    def __getattr__(self, name: str) -> Any:
        if name in ("Session", "session", "sessions", "adapters", "api"):
            raise AttributeError(f"{name} is not for services")
        return getattr(requests, name)

    def request(self, method: str, url: str, **how: Any) -> requests.Response:
        session = requests.Session()
        session.trust_env = False
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Guarded())
        return session.request(method, url, **(how | {"allow_redirects": False, "stream": False}))

    def get(self, url: str, **how: Any) -> requests.Response:
        return self.request("GET", url, **how)

    def post(self, url: str, **how: Any) -> requests.Response:
        return self.request("POST", url, **how)

    def put(self, url: str, **how: Any) -> requests.Response:
        return self.request("PUT", url, **how)

    def delete(self, url: str, **how: Any) -> requests.Response:
        return self.request("DELETE", url, **how)


_GUARDED = _Requests("requests")


def service_of(url: str) -> NotifyBase:
    """The service that `url` names, held to the guarded transport. Raises Unusable."""
    _refuse_files(url)
    # Nothing is read from or written to the disk, and no service is loaded from outside of the package.
    asset = apprise.AppriseAsset(plugin_paths=[], storage_mode=apprise.PersistentStoreMode.MEMORY, secure_logging=True)
    plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(plugin, NotifyBase):
        raise Unusable("Apprise does not know this URL; send one such as discord://webhook_id/webhook_token")
    module = sys.modules[type(plugin).__module__]
    if not _is_harmless(module):
        scheme = url.partition(":")[0]
        raise Unusable(
            f"{scheme}:// does not go over HTTP alone; use a channel of type email, slack or webhook instead"
        )
    if getattr(plugin, "template", None):
        raise Unusable("send the URL without its parameter template: files are not read")
    vars(module)["requests"] = _GUARDED
    return plugin


def _refuse_files(url: str) -> None:
    try:
        names = {name.lower().lstrip("+-:") for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    except ValueError as error:
        raise Unusable(f"the URL cannot be read: {error}") from error
    if named := names & {"template", "attach", "keyfile"}:
        raise Unusable(f"send the URL without its parameter {', '.join(sorted(named))}: files are not read")


def _is_harmless(module: types.ModuleType) -> bool:
    used = {one.__name__ for one in vars(module).values() if isinstance(one, types.ModuleType)}
    others = {name for name in used - HARMLESS - {"requests"} if not name.startswith("cryptography.")}
    return "requests" in vars(module) and not hasattr(module, "__path__") and not others


def problem_with(url: str) -> str | None:
    """Why a channel may not have `url`; None where it may."""
    try:
        service_of(url)
    except Unusable as error:
        return str(error)
    return None


def send(config: Mapping[str, Any], message: Message) -> None:
    try:
        service = service_of(config["url"])
    except Unusable as error:
        raise NotDelivered(str(error), permanent=True) from error
    seen: list[outgoing.Answer | Exception] = []
    token = _outcome.set(seen)
    try:
        arrived = service.notify(
            body=text_of(message), title=" ".join(message.headline().split()), notify_type=_kind_of(message)
        )
    finally:
        _outcome.reset(token)
    if not arrived:
        raise _failure(seen)


def _failure(seen: list[outgoing.Answer | Exception]) -> NotDelivered:
    last = seen[-1] if seen else None
    if isinstance(last, outgoing.Answer):
        return webhook.failure(last) or NotDelivered(f"the service answered {last.status}, but did not take it")
    return NotDelivered(str(last) if last else "the service did not take the message")


def _kind_of(message: Message) -> apprise.NotifyType:
    kind = "warning" if message.severity in ("low", "medium") else "failure"
    return apprise.NotifyType(KINDS.get(message.event, kind))


def text_of(message: Message) -> str:
    place = " · ".join(part for part in (message.asset_name, message.environment, message.rule_name) if part)
    lines = [place, message.description, message.note, message.runbook_url and f"Runbook: {message.runbook_url}"]
    asked = message.acknowledge_link and f"Acknowledge: {message.acknowledge_link}"
    return "\n".join(line for line in [*lines, message.link, asked] if line)
