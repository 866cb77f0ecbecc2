"""Being seen: request ids, one JSON log line a request, health, metrics."""

import functools
import json
import logging
import os
import re
import time
import traceback
from datetime import UTC, datetime

from flask import Flask, Response, current_app, g, has_request_context, request
from prometheus_client import Counter, Histogram

from authservice import errors, metrics, store
from authservice.web.bodies import Blueprint, Body, Text
from authservice.web.problems import SECURITY_HEADERS

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
METRICS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

_encode = json.JSONEncoder(default=str).encode  # made once: json.dumps would make one for each line

log = logging.getLogger("authservice")
blueprint = Blueprint("health", __name__, description="Whether the service lives and is ready")


class HealthSchema(Body):
    status = Text(required=True, metadata={"example": "ok"})


class JSONFormatter(logging.Formatter):
    """One line a record: JSON escapes whatever a stranger put in, so no input can break or forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if has_request_context():
            line["requestId"] = g.get("request_id")
            line["ip"] = request.remote_addr
        line.update({name: value for name, value in vars(record).items() if name not in _OWN_FIELDS})
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
    app.before_request(_begin)
    app.after_request(_finish)


@blueprint.route("/healthz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals()
def healthz() -> dict[str, str]:
    """Say whether the process lives

    It asks nobody else: a database that is away is no reason to restart the service.
    """
    return {"status": "ok"}


@blueprint.route("/readyz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals(errors.DatabaseUnavailable)
def readyz() -> dict[str, str]:
    """Say whether requests can be served: the database answers within its time-out"""
    store.ping()
    return {"status": "ok"}


@blueprint.route("/metrics")
@blueprint.response(200, content_type=METRICS_MEDIA_TYPE, schema={"type": "string"})
@blueprint.refusals(errors.NotFound)
def show_metrics() -> Response:
    """Show the figures of all workers to Prometheus

    FLASK_METRICS can switch this off, or keep it to an address of its own.
    """
    kept_to: str = current_app.config["METRICS"]
    if kept_to != "on" and request.environ["SERVER_PORT"] != kept_to.partition(":")[2]:
        raise errors.NotFound
    return Response(metrics.exposition(), content_type=METRICS_MEDIA_TYPE)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def _finish(response: Response) -> Response:
    headers, context = response.headers, g
    headers["X-Request-Id"] = context.request_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    headers.setdefault("Cache-Control", "no-store")
    seconds = time.perf_counter() - context.started
    method = request.method if request.method in _METHODS else "other"  # a stranger's words are no labels
    route = request.url_rule.rule if request.url_rule else "none"
    _count(method, route, response.status_code, seconds)
    log.info(
        "request",
        extra={
            "method": method,
            "route": route,
            "status": response.status_code,
            "milliseconds": round(seconds * 1000, 2),
            "userId": context.user.id if "user" in context else None,
            "code": context.get("refusal_code"),
        },
    )
    return response


def _count(method: str, route: str, status: int, seconds: float) -> None:
    requests, request_seconds = _figures(method, route, status)
    requests.inc()
    request_seconds.observe(seconds)


@functools.lru_cache(1_024)
def _figures(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Kept: to look a figure up by its labels costs more than to count."""
    return metrics.requests.labels(method, route, str(status)), metrics.request_seconds.labels(method, route)
