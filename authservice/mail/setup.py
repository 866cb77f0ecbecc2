"""What the mails of an application are made of and sent with, from its settings."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment

from authservice import config
from authservice.config import ConfigurationError, Relay
from authservice.config.mail import NEED_MAIL
from authservice.mail import wording
from authservice.state import current_state


@dataclass(frozen=True, repr=False, eq=False)  # no repr: the relay has a password
class Mail:
    """``relay`` and ``tls``: None if mails are written as files, to the folder ``outbox``."""

    sender: Address
    app_name: str
    app_url: str
    languages: tuple[str, ...]  # the first is for those who ask for none of them
    link_lifetime: timedelta
    templates: Environment
    relay: Relay | None
    tls: ssl.SSLContext | None
    outbox: Path | None


def of_settings(settings: Mapping[str, Any]) -> Mail | None:
    """None if no mail can be sent: in production without a mail server, and without a folder for files.

    Raises ConfigurationError, which names every template that cannot be used; also if no mail can be sent and sign-up
    is private.
    """
    relay: Relay | None = settings["SMTP_URL"]
    faults = []
    if settings["MAIL_TEMPLATES"] is not None and not Path(settings["MAIL_TEMPLATES"]).is_dir():
        faults.append(f"FLASK_MAIL_TEMPLATES must name a folder, and {settings['MAIL_TEMPLATES']} is none")
    templates = wording.environment_of(settings["MAIL_TEMPLATES"])
    faults += wording.faults_of(templates, settings["MAIL_LANGUAGES"])
    tls = None
    if relay is not None:
        try:
            tls = ssl.create_default_context(cafile=settings["SMTP_CA_FILE"])
        except OSError as error:
            faults.append(f"FLASK_SMTP_CA_FILE cannot be read: {error.strerror or 'it has no certificate'}")
    if faults:
        raise ConfigurationError(faults)
    outbox = None if relay is not None else _outbox(settings)
    if relay is None and outbox is None:
        if faults := [
            f"FLASK_{name}={value} needs mails, and there is no folder for them: "
            "set FLASK_SMTP_URL or FLASK_INSTANCE_PATH"
            for name, value, _ in NEED_MAIL
            if settings[name] == value
        ]:
            raise ConfigurationError(faults)
        return None
    return Mail(
        sender=settings["MAIL_FROM"],
        app_name=app_name_of(settings),
        app_url=settings["APP_URL"],
        languages=settings["MAIL_LANGUAGES"],
        link_lifetime=timedelta(minutes=settings["MAIL_LINK_MINUTES"]),
        templates=templates,
        relay=relay,
        tls=tls,
        outbox=outbox,
    )


def app_name_of(settings: Mapping[str, Any]) -> str:
    """What mails and authenticator apps call the app."""
    return settings["MAIL_FROM"].display_name or urlsplit(settings["APP_URL"]).hostname or ""


def current_mail() -> Mail:
    """The mail of the current application. Raises RuntimeError if it has none."""
    mail = current_state().mail
    if mail is None:
        raise RuntimeError("this application sends no mail")
    return mail


def _outbox(settings: Mapping[str, Any]) -> Path | None:
    """Links that let users in are no files in production, not even for a moment."""
    if settings["ENV"] == "production":
        return None
    try:
        return config.instance_path(settings) / "outbox"
    except ConfigurationError:  # a system user without a home directory, and a MongoDB of its own
        return None
