"""HTTP byte by byte: requests that no well-behaved client would send."""

import contextlib
import http.client
import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

TIMEOUT_SECONDS = 15


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One TCP connection to the service."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        # The service may have answered already and stopped reading.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(content)

    def end(self) -> None:
        """Close the sending side; the response can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Answer:
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def head(self) -> bytes:
        """Everything up to the empty line, read byte by byte: the rest is left for ``answer``."""
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += self._socket.recv(1) or b"\r\n\r\n"
        return received

    def packet(self) -> bytes:
        """The bytes of the next packet."""
        return self._socket.recv(65_536)

    def everything(self) -> bytes:
        """All bytes until the service closes the connection."""
        received = b""
        while piece := self.packet():
            received += piece
        return received

    def is_closed(self) -> bool:
        """Whether the service closes the connection within TIMEOUT_SECONDS."""
        return self._socket.recv(1) == b""


def exchange(port: int, content: bytes, end: bool = False) -> Answer:
    """Send ``content`` on a new connection and return the response."""
    with Connection(port) as connection:
        connection.send(content)
        if end:
            connection.end()
        return connection.answer()
