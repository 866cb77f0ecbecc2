"""Being seen: request ids, one JSON log line a request, health."""

import json
import logging
import re
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime

from flask import Flask, Response, g, has_request_context, request

from authservice import errors, store
from authservice.web.bodies import Blueprint, Body, Text

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

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
        return json.dumps(line, default=str)


def init_app(app: Flask) -> None:
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JSONFormatter())
        log.addHandler(handler)
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


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")  # pages have their own
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    headers.setdefault("Cache-Control", "no-store")
    log.info(
        "request",
        extra={
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else None,
            "status": response.status_code,
            "milliseconds": round((time.perf_counter() - g.started) * 1000, 2),
            "userId": g.user.id if "user" in g else None,
            "code": g.get("refusal_code"),
        },
    )
    return response
