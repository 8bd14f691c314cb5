"""Signing in and out, each with its entry in the audit trail."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse

from wedsync_monitor import audit
from wedsync_monitor.models import AuditAction, User


class SignIn(LoginView):
    template_name = "login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        if isinstance(self.request.user, User):
            audit.note_session(AuditAction.SIGN_IN, self.request.user)
        return answer

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        audit.note_refused_sign_in(str(form.data.get("username", "")))
        return super().form_invalid(form)


class SignOut(LogoutView):
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        person = request.user
        answer = super().post(request, *args, **kwargs)
        if isinstance(person, User):
            audit.note_session(AuditAction.SIGN_OUT, person)
        return answer
