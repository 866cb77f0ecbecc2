"""The log: one JSON line a record, on stderr."""

import json
import logging
import traceback
from datetime import UTC, datetime

from flask import has_request_context, request

from authservice import audit
from authservice.web.problems import CLIENT_REQUEST_ID, REQUEST_ID

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}
_encode = json.JSONEncoder(default=str).encode  # json.dumps would create one for each line


class JSONFormatter(logging.Formatter):
    """One line per record. JSON escapes all input, so no client can break or forge a line."""

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
            # Without the text of the exception, which may hold an e-mail or the password of a URI.
            frames = traceback.extract_tb(record.exc_info[2])
            line["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return _encode(line)


_to_stderr = logging.StreamHandler()
_to_stderr.setFormatter(JSONFormatter())


def write_to_stderr() -> None:
    """Configure the logger of the package. An app that embeds the service configures logging itself."""
    log = logging.getLogger("authservice")
    log.addHandler(_to_stderr)  # no effect the second time
    log.setLevel(logging.INFO)
    log.propagate = False
    audit.log.setLevel(logging.INFO)  # also on the command line, which hides all other lines
