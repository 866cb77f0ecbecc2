"""Being seen: request ids, one JSON log line a request, health, metrics."""

import functools
import ipaddress
import json
import logging
import random
import re
import time
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, g, has_request_context, request
from marshmallow import Schema, fields
from prometheus_client import Counter, Histogram

from authservice import audit, errors, metrics
from authservice.state import current_state
from authservice.store import client, indexes
from authservice.web.blueprint import Blueprint
from authservice.web.problems import REQUEST_ID, SECURITY_HEADERS
from authservice.web.timing import ARRIVED

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
AT_METRICS_ADDRESS = "authservice.at_metrics_address"  # in the WSGI environ of what came in there, set by the worker
METRICS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"
CLIENT_REQUEST_ID = "authservice.client_request_id"  # in the WSGI environ, where the client has named one
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

_OF_EVERY_ANSWER = [*SECURITY_HEADERS.items(), ("Cache-Control", "no-store")]  # where it says nothing else itself
_encode = json.JSONEncoder(default=str).encode  # made once: json.dumps would make one for each line

log = logging.getLogger("authservice")
blueprint = Blueprint("health", __name__, description="Whether the service lives and is ready")


class HealthSchema(Schema):
    status = fields.String(required=True, metadata={"enum": ["ok"]})


class JSONFormatter(logging.Formatter):
    """One line a record: JSON escapes whatever a stranger put in, so no input can break or forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        given = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        if "requestId" not in given and has_request_context():
            environ = request.environ
            line |= {"requestId": environ.get(REQUEST_ID), "ip": environ.get("REMOTE_ADDR") or None}
            if CLIENT_REQUEST_ID in environ:
                line["clientRequestId"] = environ[CLIENT_REQUEST_ID]
        line |= given
        if record.exc_info:
            # The trace without the exception's own text, which may hold an e-mail or a URI's password.
            frames = traceback.extract_tb(record.exc_info[2])
            line["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return _encode(line)


_to_stderr = logging.StreamHandler()
_to_stderr.setFormatter(JSONFormatter())


def init_app(app: Flask) -> None:
    log.addHandler(_to_stderr)  # a second time it does nothing
    log.setLevel(logging.INFO)
    log.propagate = False
    audit.log.setLevel(logging.INFO)  # on the command line too, which keeps all other lines to itself
    metrics.show_version()
    app.wsgi_app = _observed(app.wsgi_app)  # type: ignore[assignment,method-assign]
    if ":" in app.config["METRICS"]:
        app.before_request(_serve_nothing_else_there)


@blueprint.route("/healthz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals()
def check_health() -> dict[str, str]:
    """Say whether the process lives

    It asks nobody else: a database that is away is no reason to restart the service.
    """
    return {"status": "ok"}


@blueprint.route("/readyz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals(errors.UsersCollectionUnfit, errors.DatabaseUnavailable)
def check_readiness() -> dict[str, str]:
    """Say whether requests can be served

    They can when the database answers within its time-out, and can take new users.
    """
    client.ping()
    indexes.ensure_indexes()
    return {"status": "ok"}


@blueprint.route("/metrics")
@blueprint.response(200, content_type=METRICS_MEDIA_TYPE, schema={"type": "string"})
@blueprint.refusals(errors.NotFound)
def show_metrics() -> Response:
    """Show the figures of all workers to Prometheus

    FLASK_METRICS can switch this off, or keep it to an address that serves nothing else but /healthz.
    """
    if current_state().settings["METRICS"] != "on" and AT_METRICS_ADDRESS not in request.environ:
        raise errors.NotFound
    return Response(metrics.exposition(), content_type=METRICS_MEDIA_TYPE)


def _serve_nothing_else_there() -> None:
    """The address that FLASK_METRICS names is open to those who may see figures, and not to users."""
    rule = request.url_rule
    if AT_METRICS_ADDRESS in request.environ and (rule is None or rule.rule not in ("/metrics", "/healthz")):
        raise errors.NotFound


def _observed(answer: WSGIApplication) -> WSGIApplication:
    """Give each request an id, and each answer its headers, its log line and its place in the figures.

    Around Flask and not in its hooks: what every request pays for is cheap here.
    """

    def observe(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[ARRIVED] = started = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        environ["REMOTE_ADDR"] = _address(environ.get("REMOTE_ADDR", ""))
        # To be told apart from the others is all that it is for: no secret.
        environ[REQUEST_ID] = f"{random.getrandbits(128):032x}"
        if given and _WELL_FORMED_ID.fullmatch(given):
            environ[CLIENT_REQUEST_ID] = given

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            present = {name.title() for name, _ in headers}
            headers += [header for header in _OF_EVERY_ANSWER if header[0] not in present]
            headers.append(("X-Request-Id", environ[REQUEST_ID]))
            if environ["wsgi.url_scheme"] == "https":
                headers.append(("Strict-Transport-Security", "max-age=31536000"))
            _record(environ, int(status[:3]), time.perf_counter() - started)
            return start_response(status, headers, *rest)

        return answer(environ, start)

    return observe


@functools.lru_cache(1_024)
def _address(given: str) -> str:
    """The client's address as ``ipaddress`` writes it; empty where it is none: a proxy may forward anything."""
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    # A scope may be any text, and means nothing beyond the machine that wrote it.
    return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address)))


def _record(environ: WSGIEnvironment, status: int, seconds: float) -> None:
    """Called while Flask still knows the request."""
    method = environ["REQUEST_METHOD"]
    if method not in _METHODS:
        method = "other"  # a stranger's words are no labels
    rule = request.url_rule
    route = rule.rule if rule else "none"
    requests, request_seconds = _figures(method, route, status)
    requests.inc()
    request_seconds.observe(seconds)
    context = g._get_current_object()
    user = context.get("user")
    about = {
        "requestId": environ[REQUEST_ID],
        "ip": environ.get("REMOTE_ADDR") or None,
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
        "userId": user.id if user else None,
        "code": context.get("refusal_code"),
    }
    if CLIENT_REQUEST_ID in environ:
        about["clientRequestId"] = environ[CLIENT_REQUEST_ID]
    # Not log.info, which looks for the file and the line of its caller.
    log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "request", (), None, extra=about))


@functools.lru_cache(1_024)
def _figures(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Kept: to look a figure up by its labels costs more than to count."""
    return metrics.requests.labels(method, route, str(status)), metrics.request_seconds.labels(method, route)
