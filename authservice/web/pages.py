"""Pages for browsers: / links the others, /app/ is the Ionic client, /docs is Swagger UI for this API."""

import secrets
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, redirect, request, send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from authservice.config import checkout
from authservice.state import current_state
from authservice.web import outbox
from authservice.web.readme import IMAGES_URL, render

STATIC = Path(__file__).parent.parent / "static"
CLIENT = STATIC / "client"  # built from client/ by tools/build_client.py
IMAGES = STATIC.parent.parent / "docs" / "images"  # in the repository
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
NONCE_PLACEHOLDER, PASSKEY_PLACEHOLDER = "__CSP_NONCE__", "__PASSKEY_RP_ID__"  # in client/index.html
OUTBOX_PLACEHOLDER = "<!-- OUTBOX -->"  # in home.html
IMMUTABLE = "public, max-age=31536000, immutable"  # for names that hold a hash of the content

_OUTBOX = '<li><a href="outbox">Outbox</a> <span>mails that would be sent if there were a mail server</span></li>'
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OWN_PAGE = f"{_POLICY}; style-src 'self'; img-src 'self'"
# Swagger UI's style sheet has icons as data: URLs. Scripts set its style attributes, which the policy allows.
_DOCS_PAGE = f"{_POLICY}; style-src 'self'; img-src 'self' data:"


def blueprint(*, has_pages: bool, has_docs: bool) -> Blueprint:
    """The wanted pages, and their files."""
    pages = Blueprint("pages", __name__)
    files = ",".join(sorted(path.name for path in STATIC.iterdir() if path.suffix in (".css", ".js", ".svg")))
    # Exactly those names: an app that embeds the service has a folder of its own at /static/.
    rules = {f"/static/<any({files}):name>": static} | (_PAGES if has_pages else {}) | (_DOCS if has_docs else {})
    for rule, view in rules.items():
        pages.add_url_rule(rule, view_func=view)
    return pages


def home() -> Response:
    html = (STATIC / "home.html").read_text()
    return _revalidated(html.replace(OUTBOX_PLACEHOLDER, _OUTBOX if outbox.is_open() else ""))


def app_without_slash() -> BaseResponse:
    """Relative, so that the browser stays on its scheme and host behind any proxy."""
    return redirect("app/", 308)


def app() -> Response:
    """The client, with a nonce for Ionic's style elements. The nonce is new for each answer, so nothing is cached."""
    html = (CLIENT / "index.html").read_text()
    nonce = secrets.token_urlsafe(16)
    html = html.replace(PASSKEY_PLACEHOLDER, current_state().settings["PASSKEY_RP_ID"] or "")
    response = Response(html.replace(NONCE_PLACEHOLDER, nonce), mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"{_POLICY}; style-src 'self' 'nonce-{nonce}'; img-src 'self'"
    response.headers["Cache-Control"] = "no-store"
    return response


def app_asset(name: str) -> Response:
    response = send_from_directory(CLIENT / "assets", name)
    response.headers["Cache-Control"] = IMMUTABLE
    return response


def docs() -> Response:
    response = send_from_directory(STATIC, "docs.html")
    response.headers["Content-Security-Policy"] = _DOCS_PAGE
    return response


def swagger_ui(name: str) -> Response:
    return send_from_directory(SWAGGER_UI, name)  # revalidated by its ETag: the name says no version


def static(name: str) -> Response:
    return send_from_directory(STATIC, name)


def readme() -> Response:
    """The README of the version that runs: of the checkout, or as it came with the package, without pictures."""
    repository = checkout()
    text = (repository / "README.md").read_text() if repository else _packaged_readme()
    html = render(text, frozenset(path.name for path in IMAGES.glob("*.png")))
    template = (STATIC / "readme.html").read_text()
    return _revalidated(template.replace("<!-- README -->", html))


def _revalidated(html: str) -> Response:
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _OWN_PAGE
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _packaged_readme() -> str:
    text: str = metadata("authservice").get_payload()  # type: ignore[attr-defined]
    return text


def readme_image(name: str) -> Response:
    return send_from_directory(IMAGES, name)


_PAGES: dict[str, Callable[..., BaseResponse]] = {
    "/": home,
    "/app": app_without_slash,
    "/app/": app,
    "/app/assets/<name>": app_asset,
    "/readme": readme,
    f"/{IMAGES_URL}<name>": readme_image,
}
_DOCS: dict[str, Callable[..., BaseResponse]] = {"/docs": docs, "/docs/<name>": swagger_ui}
