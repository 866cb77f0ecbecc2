"""The gunicorn worker: what gunicorn itself refuses, before any application sees it, is problem+json as well."""

import json
import logging
import uuid
from typing import Any

from gunicorn import util
from gunicorn.http.errors import (
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

from authservice import errors
from authservice.errors import Refusal
from authservice.web import problems

log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, with refusals of ours."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        refusal, request_id = _refusal_for(exc), uuid.uuid4().hex
        # The class alone: the text repeats what a stranger sent, a token among it.
        about = {"requestId": request_id, "ip": addr[0] if addr else None, "error": type(exc).__name__}
        if refusal.status >= 500:
            log.error("crash", exc_info=exc, extra=about)
        else:
            log.info("request", extra={**about, "status": refusal.status, "code": refusal.code})
        try:
            util.write_nonblock(client, _answer(refusal, request_id))
        except OSError:  # the client has gone
            log.debug("unanswered", extra=about)


def _refusal_for(error: BaseException) -> Refusal:
    if isinstance(error, LimitRequestLine):
        return errors.UriTooLong()
    if isinstance(error, LimitRequestHeaders):
        return errors.HeadersTooLarge()
    ours = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)
    if isinstance(error, ParseException) and not isinstance(error, ours):
        return errors.RequestMalformed()
    return errors.InternalError()


def _answer(refusal: Refusal, request_id: str) -> bytes:
    """The whole answer as it goes over the wire; where the next request would begin is unknown, so it is the last."""
    body = json.dumps(problems.details(refusal, request_id)).encode()
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.title}\r\n"
        "Connection: close\r\n"
        f"Content-Type: {problems.MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"X-Request-Id: {request_id}\r\n\r\n"
    )
    return head.encode() + body
