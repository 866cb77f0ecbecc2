"""A mail that is ready to be sent, and the language it is in."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from urllib.parse import urlencode

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from authservice.mail import wording
from authservice.mail.kinds import UNDO_LIFETIME, Kind
from authservice.mail.setup import current_mail
from authservice.security import emails

_NOBODY = "undisclosed-recipients:;"  # such a mail is never sent
_CODE = re.compile(r"([0-9]{4})([0-9]{4})")
_SHOWN_DEVICE = re.compile(r"[A-Za-z0-9 _-]*")  # without a dot: mail programs make a link of www.example.com


def render(kind: Kind, language: str, facts: Mapping[str, str], to: str, message_id_seed: str) -> EmailMessage:
    """The mail. The same seed gives the same Message-ID, so that a mail that arrives twice can be told as one.

    ``facts``: those of the kind. In a language that is no longer among the settings' it is the first of these.
    Source: RFC 3834 section 5 for Auto-Submitted.
    """
    mail = current_mail()
    values = {
        "app_name": mail.app_name,
        "app_url": mail.app_url,
        "minutes": str(mail.link_lifetime // timedelta(minutes=1)),
        "days": str(UNDO_LIFETIME.days),
        **{name: _shown(name, facts) for name in kind.facts},
    }
    known = language if language in mail.languages else mail.languages[0]
    subject, text, html = wording.fill(mail.templates, kind, known, values)
    message = EmailMessage(policy.SMTP)
    message["From"] = mail.sender
    message["To"] = emails.for_envelope(to) or _NOBODY
    message["Subject"] = subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{hashlib.sha256(message_id_seed.encode()).hexdigest()[:32]}@{mail.sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def language_of(header: str | None, stored: str | None) -> str:
    """One of FLASK_MAIL_LANGUAGES: the user's own, else the best of an Accept-Language header, else the first."""
    languages = current_mail().languages
    wished = LanguageAccept([(stored, 1)]) if stored else LanguageAccept()
    asked = parse_accept_header(header, LanguageAccept)
    return wished.best_match(languages) or asked.best_match(languages) or languages[0]


def link_of(kind: Kind, token: str) -> str:
    """The page of the app with the token. It never comes from the Host of a request, which anybody can make up."""
    return f"{current_mail().app_url}?{urlencode({'action': kind.action, 'token': token})}"


def written_time(at: datetime) -> str:
    """The fact ``time``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _shown(name: str, facts: Mapping[str, str]) -> str:
    if name == "device":
        device = facts.get("device", "")
        return device if _SHOWN_DEVICE.fullmatch(device) else ""
    return _CODE.sub(r"\1 \2", facts[name]) if name == "code" else facts[name]
