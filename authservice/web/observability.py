"""Observability: a request id, a log line and metrics for each request."""

import functools
import logging
import re
import time
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, g, request
from prometheus_client import Counter, Histogram

from authservice import metrics
from authservice.security.clients import parse_address
from authservice.web.problems import CLIENT_REQUEST_ID, REQUEST_ID, SECURITY_HEADERS, new_request_id
from authservice.web.timing import ARRIVED

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_OF_EVERY_ANSWER = [*SECURITY_HEADERS.items(), ("Cache-Control", "no-store")]  # unless the answer sets them itself

log = logging.getLogger("authservice")


def init_app(app: Flask) -> None:
    metrics.show_version()
    app.wsgi_app = _observed(app.wsgi_app)  # type: ignore[assignment,method-assign]


def _observed(answer: WSGIApplication) -> WSGIApplication:
    """Give each request an id, and each answer its headers, its log line and its metrics.

    This is WSGI and not a Flask hook because every request pays for it.
    """

    def observe(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[ARRIVED] = started = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        environ["REMOTE_ADDR"] = _address(environ.get("REMOTE_ADDR", ""))
        environ[REQUEST_ID] = new_request_id()
        if given and _WELL_FORMED_ID.fullmatch(given):
            environ[CLIENT_REQUEST_ID] = given

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            present = {name.title() for name, _ in headers}
            headers += [header for header in _OF_EVERY_ANSWER if header[0] not in present]
            if "X-Request-Id" not in present:
                headers.append(("X-Request-Id", environ[REQUEST_ID]))
            if environ["wsgi.url_scheme"] == "https":
                headers.append(("Strict-Transport-Security", "max-age=31536000"))
            _record(environ, int(status[:3]), time.perf_counter() - started)
            return start_response(status, headers, *rest)

        return answer(environ, start)

    return observe


@functools.lru_cache(1_024)
def _address(given: str) -> str:
    """The client's address as ``ipaddress`` writes it. Empty if it is not an address."""
    return str(parse_address(given) or "")


def _record(environ: WSGIEnvironment, status: int, seconds: float) -> None:
    """Log and count the answer, while the request context is still there."""
    method = environ["REQUEST_METHOD"]
    if method not in _METHODS:
        method = "other"  # clients must not create labels
    rule = request.url_rule
    route = rule.rule if rule else "none"
    requests, request_seconds = _figures(method, route, status)
    requests.inc()
    request_seconds.observe(seconds)
    context = g._get_current_object()
    user = context.get("authservice_user")
    about = {
        "requestId": environ[REQUEST_ID],
        "ip": environ.get("REMOTE_ADDR") or None,
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
        "userId": user.id if user else None,
        "code": context.get("authservice_code"),
    }
    if CLIENT_REQUEST_ID in environ:
        about["clientRequestId"] = environ[CLIENT_REQUEST_ID]
    # Not log.info, which looks up the file and line of its caller.
    log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "request", (), None, extra=about))


@functools.lru_cache(1_024)
def _figures(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Cached, because looking a metric up by its labels costs more than counting."""
    return metrics.requests.labels(method, route, str(status)), metrics.request_seconds.labels(method, route)
