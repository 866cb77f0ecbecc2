"""What a worker receives: requests within bounds of size and time, each byte looked at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gunicorn.config import Config
from gunicorn.http import message
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader

from authservice import errors
from authservice.config import BODY_MAX_BYTES
from authservice.serving.connections import Connection, Connections

HEAD_MAX_BYTES = 32_768
HEAD_SECONDS = 5.0  # from its first byte to its last
# Every so many bytes of a body have so many seconds: ours are never larger, and larger ones that an application takes
# may last as long as they go on coming.
BODY_PART_BYTES = BODY_MAX_BYTES
BODY_PART_SECONDS = 5.0


class Incoming(SocketUnreader):  # type: ignore[misc]
    """A client's bytes. While a request is not all there its connection gives way to others like an idle one."""

    def __init__(self, connection: Connection, connections: Connections) -> None:
        super().__init__(connection.socket)
        self._connection = connection
        self._connections = connections
        self._reads_body = False
        self._part_bytes = 0
        self._part_seconds = BODY_PART_SECONDS

    def expect_head(self) -> None:
        self._reads_body = False

    def expect_body(self) -> None:
        self._reads_body = True
        self._part_bytes, self._part_seconds = 0, BODY_PART_SECONDS

    @contextmanager
    def time_for_the_head(self) -> Iterator[None]:
        """Raises RequestTimeout when it is over."""
        self._connections.wait(self._connection)
        with gevent.Timeout(HEAD_SECONDS, errors.RequestTimeout()):
            yield

    def read_ahead(self, size: int) -> None:
        """Have so many bytes at hand, unless the client ends before. Raises RequestTimeout."""
        self.unread(self.read(size))

    def chunk(self, size_hint: int | None = None) -> bytes:
        """What comes next, b"" at the end. Raises RequestTimeout."""
        if self._connection.gave_way:
            raise gevent.GreenletExit
        try:
            data = self._chunk_of_body(size_hint) if self._reads_body else super().chunk(size_hint)
        except OSError:
            if not self._connection.gave_way:
                raise
            data = b""
        if not data and self._connection.gave_way:
            raise gevent.GreenletExit  # past the application: nobody is there to be answered
        return data

    def _chunk_of_body(self, size_hint: int | None) -> bytes:
        asked = time.monotonic()
        self._connections.wait(self._connection)
        try:
            with gevent.Timeout(max(self._part_seconds, 0), errors.RequestTimeout()):
                data: bytes = super().chunk(size_hint)
        finally:
            self._connections.work(self._connection)
        self._part_bytes += len(data)
        self._part_seconds -= time.monotonic() - asked
        if self._part_bytes >= BODY_PART_BYTES:
            self._part_bytes, self._part_seconds = 0, BODY_PART_SECONDS
        return data


class Request(message.Request):  # type: ignore[misc]
    """gunicorn's, but no head grows without end, and what RFC 9112 asks of Host and Connection is done."""

    headers: list[tuple[str, str]]
    must_close: bool
    _expected_100_continue: bool
    version: tuple[int, int]

    def parse(self, unreader: Incoming) -> bytes:
        """Read a head; what came behind it.

        gunicorn's own loop copies and searches all of an unfinished head each time that a byte comes.
        """
        self.max_buffer_headers = HEAD_MAX_BYTES  # for trailers
        unreader.expect_head()
        received = bytearray()
        self.read_into(unreader, received, stop=True)
        is_announced = self.cfg.proxy_protocol != "off" and self.req_number == 1
        end = received.find(b"\r\n\r\n")
        if end < 0 or is_announced:
            with unreader.time_for_the_head():
                if is_announced:
                    received = self._handle_proxy_protocol(unreader, received, self.cfg.proxy_protocol)
                end = self._read_head(unreader, received)
        if end + 4 > HEAD_MAX_BYTES:
            raise LimitRequestHeaders("head too large")
        parse = self._parse_fast if self._use_fast else self._parse_python
        rest: bytes = parse(unreader, received)
        self._look_at_host_and_connection()
        return rest

    def set_body_reader(self) -> None:
        """Wait for a body, or for the first of its chunks, here: who sends none shall not have an application wait.

        One that is larger than any of ours is left to the application, which may not want it at all.
        """
        super().set_body_reader()
        self.unreader.expect_body()
        size = self.body.reader.length if isinstance(self.body.reader, LengthReader) else 1
        if 0 < size <= BODY_MAX_BYTES:
            if self._expected_100_continue:
                self._expected_100_continue = False
                self.unreader.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.unreader.read_ahead(size)

    def should_close(self) -> bool:
        return self.must_close

    def _read_head(self, unreader: Incoming, received: bytearray) -> int:
        """Read on until the head is complete; where it ends."""
        searched = 0
        while (end := received.find(b"\r\n\r\n", max(searched - 3, 0))) < 0:
            # A bare LF ends no line, so this head would never end.
            if received.count(b"\n", searched) != received.count(b"\r\n", max(searched - 1, 0)):
                raise InvalidHeader("bare LF as line terminator")
            limit = self.limit_request_line
            if 0 < limit < len(received) - 2 and received.find(b"\r\n", 0, limit + 2) < 0:
                raise LimitRequestLine(len(received), limit)
            if len(received) >= HEAD_MAX_BYTES:
                raise LimitRequestHeaders("head too large")
            searched = len(received)
            self.read_into(unreader, received)
        return end

    def _look_at_host_and_connection(self) -> None:
        """RFC 9112 section 3.2: no request of HTTP/1.1 without Host. Section 9.6: Connection is a list."""
        has_host = False
        options: set[str] = set()
        for name, value in self.headers:
            if name == "HOST":
                has_host = True
            elif name == "CONNECTION":
                options.update(option.strip(" \t") for option in value.lower().split(","))
        if not has_host and self.version >= (1, 1):
            raise InvalidHeader("HOST", req=self)
        # Behind a CONNECT there is no further request (RFC 9931 section 8).
        is_kept = self.version >= (1, 1) or "keep-alive" in options
        if "close" in options or self.method == "CONNECT" or not is_kept:
            self.force_close()


class Parser(RequestParser):  # type: ignore[misc]
    """The requests of a connection, one after the other."""

    mesg_class = Request

    def __init__(self, cfg: Config, incoming: Incoming, address: object) -> None:
        super().__init__(cfg, incoming.sock, address)
        self.unreader = incoming
