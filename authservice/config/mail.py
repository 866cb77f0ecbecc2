"""The settings of mail. No message repeats the URL of the relay, because it may contain a password."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import getaddresses
from typing import Any
from urllib.parse import unquote, urlsplit

import email_validator

from authservice.config.hosts import is_loopback
from authservice.config.setting import Setting, absolute_path, integer, one_of

SUBMISSION_PORT = {"smtp": 587, "smtps": 465}  # RFC 8314
_APP_URL = "http://127.0.0.1:3000/app/"
_ESCAPES = "in user and password write / ? # @ : as %2F %3F %23 %40 %3A"
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")  # RFC 5646, also as the name of a folder
_NAME_MAX_CHARACTERS = 60  # Python folds long names wrongly, such as at a comma that is quoted
# Settings, with the value that needs mail and what for.
NEED_MAIL = (("SIGN_UP", "private", "finish a sign-up"), ("REQUIRE_VERIFIED_EMAIL", "on", "prove an address"))
_NEEDED_BY_SMTP = ("MAIL_FROM", "APP_URL")


@dataclass(frozen=True)
class Relay:
    """The mail server that takes what we send."""

    host: str
    port: int
    is_tls: bool  # from the first byte; otherwise STARTTLS
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def is_on_this_machine(self) -> bool:
        return is_loopback(self.host)


def parse_smtp_url(text: str) -> Relay:
    """Raises ValueError."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not a URL such as smtps://user:password@smtp.example.com:465; {_ESCAPES}") from None
    is_clean = text.isprintable()  # urlsplit drops line breaks
    if (
        not is_clean
        or parts.scheme not in SUBMISSION_PORT
        or not re.fullmatch(r"[A-Za-z0-9._:-]+", parts.hostname or "")
    ):
        raise ValueError("must start with smtps:// or smtp:// (with STARTTLS) and name a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise ValueError(f"must end with the host and its port, such as smtp.example.com:587; {_ESCAPES}")
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    if bool(user) != bool(password):
        raise ValueError("must have both a user and a password, or neither")
    if not f"{user}{password}".isascii() or not f"{user}{password}".isprintable():
        raise ValueError("must have a user and a password of printable ASCII characters")
    return Relay(
        host=parts.hostname or "",
        port=port or SUBMISSION_PORT[parts.scheme],
        is_tls=parts.scheme == "smtps",
        user=user or None,
        password=password or None,
    )


def _sender(text: str) -> Address:
    addresses = getaddresses([text])
    name, address = addresses[0] if len(addresses) == 1 else ("", "")
    try:
        in_ascii = email_validator.validate_email(
            address, check_deliverability=False, globally_deliverable=False
        ).ascii_email
    except email_validator.EmailNotValidError:
        in_ascii = None
    # =? begins an encoded word, which could hide a line break (RFC 2047)
    if in_ascii is None or "=?" in text or not text.isprintable():
        raise ValueError(f"must be an address such as Shop <no-reply@example.com>, not {text[:80]!r}")
    if len(name) > _NAME_MAX_CHARACTERS:
        raise ValueError(f"must have a name of at most {_NAME_MAX_CHARACTERS} characters, not {len(name)}")
    return Address(name, addr_spec=in_ascii)


def _app_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_good = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        is_good = False
    if not is_good or not re.fullmatch(r"https?://[!$-;=@-~]+", text):  # printable ASCII, but neither query nor quote
        raise ValueError(f"must be a URL without a query, such as https://app.example.com/, not {text[:80]!r}")
    return text


def _languages(text: str) -> tuple[str, ...]:
    languages = tuple(dict.fromkeys(language.strip() for language in text.split(",")))
    if not all(_LANGUAGE.fullmatch(language) for language in languages):
        raise ValueError(f"must be language tags separated by commas, such as en,de, not {text[:60]!r}")
    return languages


MAIL_SETTINGS = (
    Setting(
        "SMTP_URL",
        parse_smtp_url,
        None,
        "`smtps://user:password@host:465`, or `smtp://` with STARTTLS; unset: no mail in production, else files in the "
        "folder `outbox` of the instance folder",
    ),
    Setting(
        "SMTP_CA_FILE",
        absolute_path,
        None,
        "the certificates, in PEM, that the mail server's is checked with; unset: the system's",
    ),
    Setting(
        "MAIL_FROM",
        _sender,
        "authservice <no-reply@authservice.example>",
        "sender of the mails, whose name is also that of your app in them; required with FLASK_SMTP_URL",
    ),
    Setting(
        "APP_URL",
        _app_url,
        _APP_URL,
        "page of your app that the links in mails lead to, by default the service's own at PORT; required with "
        "FLASK_SMTP_URL",
    ),
    Setting("MAIL_LANGUAGES", _languages, "en,de", "languages of the mails; who asks for none of them gets the first"),
    Setting(
        "MAIL_TEMPLATES",
        absolute_path,
        None,
        "a folder of templates such as `en/reset.txt`, which replace those of the service or add a language",
    ),
    Setting("MAIL_LINK_MINUTES", integer(5, 1_440), "30", "minutes that the links and codes in mails are good for"),
    Setting(
        "MAIL_DELIVERY",
        one_of("workers", "off"),
        "workers",
        "`workers` send the mails; `off`: `authservice mails deliver` does, in a process of its own",
    ),
)


def app_url_of(environ: Mapping[str, str]) -> str:
    """The service's own client, at the port that the service listens on."""
    port = environ.get("PORT", "")
    return f"http://127.0.0.1:{port}/app/" if port.isdecimal() else _APP_URL


def faults_of(given: Collection[str]) -> list[str]:
    """One sentence for each setting that the mail server needs besides."""
    if "SMTP_URL" not in given:
        return []
    return [f"FLASK_{name} is required with FLASK_SMTP_URL" for name in _NEEDED_BY_SMTP if name not in given]


def production_faults_of(values: Mapping[str, Any], given: Collection[str]) -> list[str]:
    found = [
        f"FLASK_SMTP_URL is required with FLASK_ENV=production and FLASK_{name}={value}: "
        f"without a mail nobody can {what}"
        for name, value, what in NEED_MAIL
        if values[name] == value and "SMTP_URL" not in given
    ]
    if "APP_URL" in given and values["APP_URL"] is not None and not values["APP_URL"].startswith("https://"):
        found.append("FLASK_APP_URL must start with https:// with FLASK_ENV=production: its links let users in")
    return found
