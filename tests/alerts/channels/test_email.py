"""What a mail server's refusal means."""

from __future__ import annotations

import smtplib

import pytest
from django.core.mail.backends.base import BaseEmailBackend

from alerts.channels import NotDelivered, email

REFUSED: dict[str, tuple[int, bytes]] = {}
CONFIG = {"recipients": ["ana@wedsync.example", "ben@wedsync.example"]}


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
