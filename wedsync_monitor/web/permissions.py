"""How views obey the policy: each says its resource, and the verb of every HTTP method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django_htmx.http import HttpResponseClientRedirect
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from wedsync_monitor import policy
from wedsync_monitor.policy import Verb

if TYPE_CHECKING:
    from rest_framework.views import APIView

REST_VERBS: dict[str, Verb] = {
    "GET": Verb.READ,
    "HEAD": Verb.READ,
    "OPTIONS": Verb.READ,
    "POST": Verb.CREATE,
    "PUT": Verb.CHANGE,
    "PATCH": Verb.CHANGE,
    "DELETE": Verb.DELETE,
}


def verb_of(view: Any, method: str) -> Verb | None:
    """The verb that `view` declares for an HTTP method (`policy_verbs`), else REST's usual one."""
    verbs: Mapping[str, Verb] = getattr(view, "policy_verbs", {})
    return verbs.get(method) or REST_VERBS.get(method)


class PolicyPermission(BasePermission):
    """DRF's door to the policy. A view without `policy_resource` is closed to everybody.

    A method that is not offered is nobody's: that is a 405, whatever the roles.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user.is_authenticated and request.method not in view.allowed_methods:
            raise MethodNotAllowed(request.method or "")
        resource = getattr(view, "policy_resource", None)
        verb = verb_of(view, request.method or "")
        return bool(resource and verb and policy.may(request.user, verb, resource))

    def has_object_permission(self, request: Request, view: APIView, row: Any) -> bool:
        verb = verb_of(view, request.method or "")
        return bool(verb and policy.may_row(request.user, verb, view.policy_resource, row))  # type: ignore[attr-defined]


View = Callable[..., HttpResponse]


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page and back. HTMX would put that page inside of this one, so the browser itself is sent."""
    htmx = request.htmx  # type: ignore[attr-defined]
    if not htmx:
        return redirect_to_login(request.get_full_path())
    return HttpResponseClientRedirect(redirect_to_login(htmx.current_url_abs_path or request.path).url)


def guarded(resource: str, **verbs: Verb) -> Callable[[View], View]:
    """Open a console view to those who may: `@guarded("assets", GET=Verb.READ, POST=Verb.CHANGE)`.

    Methods that are not named answer 405; people who are not signed in are sent to the sign-in page.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            verb = verbs.get("GET" if request.method == "HEAD" else request.method or "")
            if verb is None:
                return HttpResponseNotAllowed(list(verbs))
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            if not policy.may(request.user, verb, resource):
                raise PermissionDenied(f"Your roles do not allow to {verb} {resource.replace('_', ' ')}.")
            return view(request, *args, **kwargs)

        checked.policy_resource, checked.policy_verbs = resource, verbs  # type: ignore[attr-defined]
        return checked

    return decorate
