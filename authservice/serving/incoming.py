"""Read requests within limits of size and time. Each byte is searched once."""

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
# Each part of a body has its own timeout. Our bodies are never longer than one part; a large upload to another
# application may take as long as it keeps coming.
BODY_PART_BYTES = BODY_MAX_BYTES
BODY_PART_SECONDS = 5.0


class Incoming(SocketUnreader):  # type: ignore[misc]
    """The bytes of a client. While its request is incomplete, its connection can be evicted like an idle one."""

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
    def head_timeout(self) -> Iterator[None]:
        """Raises RequestTimeout after HEAD_SECONDS."""
        self._connections.mark_waiting(self._connection)
        with gevent.Timeout(HEAD_SECONDS, errors.RequestTimeout()):
            yield

    def read_ahead(self, size: int) -> None:
        """Buffer ``size`` bytes, or fewer if the client ends first. Raises RequestTimeout."""
        self.unread(self.read(size))

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes, b"" at the end. Raises RequestTimeout."""
        if self._connection.is_evicted:
            raise gevent.GreenletExit
        try:
            data = self._chunk_of_body(size_hint) if self._reads_body else super().chunk(size_hint)
        except OSError:
            if not self._connection.is_evicted:
                raise
            data = b""
        if not data and self._connection.is_evicted:
            raise gevent.GreenletExit  # the application does not catch it: nobody waits for a response
        return data

    def _chunk_of_body(self, size_hint: int | None) -> bytes:
        started = time.monotonic()
        self._connections.mark_waiting(self._connection)
        try:
            with gevent.Timeout(max(self._part_seconds, 0), errors.RequestTimeout()):
                data: bytes = super().chunk(size_hint)
        finally:
            self._connections.mark_working(self._connection)
        self._part_bytes += len(data)
        self._part_seconds -= time.monotonic() - started
        if self._part_bytes >= BODY_PART_BYTES:
            self._part_bytes, self._part_seconds = 0, BODY_PART_SECONDS
        return data


class Request(message.Request):  # type: ignore[misc]
    """gunicorn's request, with a limit for the whole head and the rules of RFC 9112 for Host and Connection."""

    headers: list[tuple[str, str]]
    must_close: bool
    _expected_100_continue: bool
    version: tuple[int, int]

    def parse(self, unreader: Incoming) -> bytes:
        """Read a head and return the bytes behind it.

        gunicorn's own loop copies and searches the whole incomplete head whenever a byte arrives.
        """
        self.max_buffer_headers = HEAD_MAX_BYTES  # for trailers
        unreader.expect_head()
        received = bytearray()
        self.read_into(unreader, received, stop=True)
        has_proxy_header = self.cfg.proxy_protocol != "off" and self.req_number == 1
        end = received.find(b"\r\n\r\n")
        if end < 0 or has_proxy_header:
            with unreader.head_timeout():
                if has_proxy_header:
                    received = self._handle_proxy_protocol(unreader, received, self.cfg.proxy_protocol)
                end = self._read_head(unreader, received)
        if end + 4 > HEAD_MAX_BYTES:
            raise LimitRequestHeaders("head too large")
        parse = self._parse_fast if self._use_fast else self._parse_python
        rest: bytes = parse(unreader, received)
        self._check_host_and_connection()
        return rest

    def set_body_reader(self) -> None:
        """Read a body, or the first byte of its chunks, before the application starts and waits for it.

        A body that is larger than ours is left to the application, which may refuse it unread.
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
        """Read until the head is complete and return where it ends."""
        searched = 0
        while (end := received.find(b"\r\n\r\n", max(searched - 3, 0))) < 0:
            # Otherwise a client that ends its lines with a bare LF would wait for its timeout.
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

    def _check_host_and_connection(self) -> None:
        """RFC 9112 section 3.2: HTTP/1.1 requires Host. Section 9.6: Connection is a list."""
        has_host = False
        options: set[str] = set()
        for name, value in self.headers:
            if name == "HOST":
                has_host = True
            elif name == "CONNECTION":
                options.update(option.strip(" \t") for option in value.lower().split(","))
        if not has_host and self.version >= (1, 1):
            raise InvalidHeader("HOST", req=self)
        # No request can follow a CONNECT (RFC 9931 section 8).
        is_persistent = self.version >= (1, 1) or "keep-alive" in options
        if "close" in options or self.method == "CONNECT" or not is_persistent:
            self.force_close()


class Parser(RequestParser):  # type: ignore[misc]
    """The requests of a connection, in order."""

    mesg_class = Request

    def __init__(self, cfg: Config, incoming: Incoming, address: object) -> None:
        super().__init__(cfg, incoming.sock, address)
        self.unreader = incoming
