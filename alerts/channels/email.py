"""Email in text and HTML; messages of one alert form a thread."""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Mapping
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from alerts.channels.base import Message, NotDelivered


def send(config: Mapping[str, Any], message: Message) -> None:
    thread = f"<{hashlib.sha256(message.alert_id.encode()).hexdigest()[:32]}@wedsync-monitor>"
    headers = {
        "Message-ID": f"<{message.delivery_id}@wedsync-monitor>",
        "References": thread,
        "In-Reply-To": thread,
        "Auto-Submitted": "auto-generated",
    }
    subject = " ".join(message.headline().split())
    text = render_to_string("alerts/email.txt", {"message": message})
    mail = EmailMultiAlternatives(subject, text, to=list(config["recipients"]), headers=headers)
    mail.attach_alternative(render_to_string("alerts/email.html", {"message": message}), "text/html")
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        # A 4xx is greylisting or a full mailbox: the same recipient is taken later.
        codes = [code for code, _ in error.recipients.values()]
        final = all(code >= 500 for code in codes)
        raise NotDelivered(f"the mail server refused the recipients ({codes})", permanent=final) from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotDelivered(f"the mail server did not take it: {error}") from error
