"""What a mail server's refusal means."""

from __future__ import annotations

import smtplib
import threading
from email import message_from_bytes, policy

import pytest
from django.core.mail.backends.base import BaseEmailBackend

from alerts.channels import NotDelivered, email
from tests.receivers import MailServer

REFUSED: dict[str, tuple[int, bytes]] = {}
CONFIG = {"recipients": ["ana@wedsync.example", "ben@wedsync.example"]}


@pytest.fixture
def mail_server(settings):
    server = MailServer()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.server_address[1]
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    yield server
    server.hang.set()
    server.shutdown()
    server.server_close()


class RefusingBackend(BaseEmailBackend):
    """A mail server that takes none of the recipients."""

    def send_messages(self, email_messages):
        raise smtplib.SMTPRecipientsRefused(REFUSED)


@pytest.mark.parametrize(
    ("codes", "permanent"), [((550, 553), True), ((450, 451), False), ((550, 451), False)], ids=str
)
def test_a_refusal_is_final_only_where_no_recipient_is_merely_greylisted(message, settings, codes, permanent):
    settings.EMAIL_BACKEND = f"{__name__}.RefusingBackend"
    REFUSED.update({name: (code, b"no") for name, code in zip(CONFIG["recipients"], codes, strict=True)})
    with pytest.raises(NotDelivered, match="refused the recipients") as refused:
        email.send(CONFIG, message())
    assert refused.value.permanent is permanent


def test_a_mail_server_gets_text_and_html_in_the_alerts_thread(message, mail_server):
    link = "https://monitor.example/acknowledge/token"
    email.send(CONFIG, message(acknowledge_link=link, title="CPU\nBcc: x@y.example", description="<b>93 %</b>"))
    email.send(CONFIG, message(event="resolved", delivery_id="second"))
    first, second = (message_from_bytes(one, policy=policy.default) for one in mail_server.mails)
    assert first["Subject"] == "[HIGH] CPU Bcc: x@y.example"
    assert (first["Bcc"], first["To"]) == (None, "ana@wedsync.example, ben@wedsync.example")
    assert first["References"] == second["References"]
    assert first["Message-ID"] != second["Message-ID"]
    text, html = (part.get_content() for part in first.iter_parts())
    assert "<b>93 %</b>" in text
    assert "&lt;b&gt;93 %&lt;/b&gt;" in html
    assert link in text
    assert f'href="{link}"' in html
    assert "acknowledge" not in second.as_string().lower()


@pytest.mark.parametrize(("code", "permanent"), [(450, False), (550, True)])
def test_a_real_servers_refusal_is_understood(message, mail_server, code, permanent):
    mail_server.refusals = [code, code]
    with pytest.raises(NotDelivered) as refused:
        email.send(CONFIG, message())
    assert refused.value.permanent is permanent
    email.send(CONFIG, message())
    assert len(mail_server.mails) == 1


def test_a_mail_server_that_hangs_is_tried_again(message, mail_server, settings):
    settings.EMAIL_TIMEOUT = 0.2
    mail_server.hang.clear()
    with pytest.raises(NotDelivered) as failure:
        email.send(CONFIG, message())
    assert not failure.value.permanent
