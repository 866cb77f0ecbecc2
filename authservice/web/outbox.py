"""The page /outbox, for the developer at this machine: the mails that are files because there is no mail server."""

import re
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, render_template_string, request
from markupsafe import Markup, escape

from authservice import errors
from authservice.config.hosts import is_loopback
from authservice.mail.setup import current_mail

_TEMPLATE = Path(__file__).parent.parent / "static" / "outbox.html"
_SHOWN = 100  # the newest
_NAME = re.compile(r"[0-9a-f]{32}")
_LINK = re.compile(r"(https?://[^\s<>\"]+)")
_OF_PROXIES = re.compile(r"X-Forwarded-.*|Forwarded|Via|X-Real-Ip", re.IGNORECASE)
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'"
_PAGE = f"{_NOTHING}; style-src 'self'; img-src 'self'; frame-src 'self'; frame-ancestors 'none'"
# What a mail program allows: styles, and links that somebody clicks.
_IN_FRAME = (
    f"{_NOTHING}; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"
)

blueprint = Blueprint("outbox", __name__)


def is_open() -> bool:
    """Whether the client may see the mails, which let everybody in.

    Only from this machine, without a proxy, and by a name of this machine: a page of another site can have a name that
    its DNS makes lead here (DNS rebinding).
    """
    headers = request.headers
    return (
        blueprint.name in current_app.blueprints
        and is_loopback(request.remote_addr or "")
        and is_loopback(_host())
        and not any(_OF_PROXIES.fullmatch(name) for name, _ in headers)
        and "Origin" not in headers
    )


def _host() -> str:
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


@blueprint.before_app_request
def _hide() -> None:
    """To all others there is no such page: not even a 405 tells of it."""
    if request.path.startswith("/outbox") and not is_open():
        raise errors.NotFound


@blueprint.route("/outbox")
def list_mails() -> Response:
    return _page(mails=[{"name": path.stem, **_headers(mail)} for path, mail in _newest()])


@blueprint.route("/outbox/<name>")
def show_mail(name: str) -> Response:
    mail = _find(name)
    parts = _LINK.split(_body(mail, "plain"))  # the links have the odd places
    text = Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )
    return _page(mail={"name": name, **_headers(mail)}, text=text)


@blueprint.route("/outbox/<name>/html")
def show_html(name: str) -> Response:
    """For a frame. Its links lead out of it: the page of an app allows no frame."""
    html = f'<!doctype html><base target="_top">{_body(_find(name), "html")}'
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": _IN_FRAME})


def _page(**values: object) -> Response:
    html = render_template_string(_TEMPLATE.read_text(), **values)
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": _PAGE})


def _newest() -> Iterator[tuple[Path, EmailMessage]]:
    dated = []
    for path in _folder().glob("*.eml"):
        with suppress(FileNotFoundError):  # deleted since
            dated.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(dated, reverse=True)[:_SHOWN]:
        with suppress(FileNotFoundError):
            yield path, _read(path)


def _find(name: str) -> EmailMessage:
    """Raises NotFound."""
    if not _NAME.fullmatch(name):
        raise errors.NotFound
    try:
        return _read(_folder() / f"{name}.eml")
    except FileNotFoundError:
        raise errors.NotFound from None


def _folder() -> Path:
    folder = current_mail().outbox
    assert folder is not None
    return folder


def _read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=policy.default)


def _headers(mail: EmailMessage) -> dict[str, str]:
    return {"subject": mail["Subject"], "to": mail["To"], "date": f"{mail['Date'].datetime:%Y-%m-%d %H:%M:%S} UTC"}


def _body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return part.get_content() if part else ""
