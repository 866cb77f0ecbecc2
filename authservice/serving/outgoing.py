"""Write responses: those of the application, and refusals of requests that never reach the application."""

import functools
import json
import time

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import (
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)

from authservice import errors
from authservice.errors import Refusal
from authservice.web import problems

_http_date = functools.lru_cache(1)(util.http_date)  # called with the current second


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, with head and body in one packet: docs/decisions/0001-worker.md."""

    headers_sent: bool
    _head = b""  # held back until the body comes

    @property
    def is_started(self) -> bool:
        return self.headers_sent and not self._head

    def should_close(self) -> bool:
        # If reading the body failed, nobody knows where the next request starts.
        return self.req.body.failed or super().should_close()  # type: ignore[no-any-return]

    def send_headers(self) -> None:
        if not self.headers_sent:
            self.headers_sent = True
            major, minor = self.req.version
            lines = [
                f"HTTP/{major}.{minor} {self.status}",
                f"Server: {self.version}",
                f"Date: {_http_date(int(time.time()))}",
                f"Connection: {'close' if self.should_close() else 'keep-alive'}",
                *(["Transfer-Encoding: chunked"] if self.chunked else []),
                *[f"{name}: {value}" for name, value in self.headers],
                "\r\n",
            ]
            self._head = "\r\n".join(lines).encode("latin-1")

    def _emit_body(self, data: bytes) -> None:
        packet = self._head + (b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)
        self._head = b""
        self.sock.sendall(packet)

    def close(self) -> None:
        self.send_headers()
        if self._head or self.chunked:
            self._emit_body(b"")  # this ends a chunked body


def refusal_for(error: BaseException) -> Refusal:
    """The refusal for a request that raised ``error``."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, LimitRequestLine):
        return errors.UriTooLong()
    if isinstance(error, LimitRequestHeaders):
        return errors.HeadersTooLarge()
    ours = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)
    if isinstance(error, ParseException) and not isinstance(error, ours):
        return errors.RequestMalformed()
    return errors.InternalError()


def refusal_bytes(refusal: Refusal, request_id: str) -> bytes:
    """The whole response in bytes. It closes the connection: nobody knows where the next request starts."""
    body = json.dumps(problems.details(refusal, request_id)).encode()
    security = "".join(f"{name}: {value}\r\n" for name, value in problems.SECURITY_HEADERS.items())
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.title}\r\n"
        "Connection: close\r\n"
        f"Content-Type: {problems.MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"{security}"
        f"X-Request-Id: {request_id}\r\n\r\n"
    )
    return head.encode() + body
