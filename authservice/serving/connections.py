"""A worker's connections: how many each client may have, their deadlines, and which one is evicted for a newcomer."""

import ipaddress
import logging
import math
import socket
import time
from collections import Counter
from contextlib import suppress
from typing import Any

REQUEST_SECONDS = 15.0  # more than any honest request takes after its body has arrived, including the queue for hashing

log = logging.getLogger(__name__)


class Connection:
    """A socket, the client that it counts for, and whether it was evicted."""

    def __init__(self, sock: Any, client: str | None) -> None:
        self.socket = sock
        self.client = client
        self.is_evicted = False

    def shut_down(self) -> None:
        """Wake its greenlet, which finds the end of the stream and closes the connection."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Connections:
    """All connections of a worker. One that waits for its client can be evicted, one that is being served cannot.

    If a client has too many connections, the newcomer is served and the one that has waited longest is evicted. Among
    many people behind one address, this costs somebody an idle connection, which browsers reopen by themselves. If the
    newcomer were closed instead, one of these people could lock out all others. The newcomer is closed only if all
    connections of the client are being served.
    """

    def __init__(self, per_client: int) -> None:
        self._per_client = per_client or math.inf
        # Connection -> deadline. The first of the waiting ones has waited longest.
        self._waiting: dict[Connection, float] = {}
        self._working: dict[Connection, float] = {}
        self._count_by_client: Counter[str] = Counter()
        self._evicted = self._refused = 0  # since the last log line
        self._incomplete = 0  # those with an incomplete request, and those that are closing

    @property
    def active_count(self) -> int:
        """How many are idle or being served. Those with an incomplete request do not count."""
        return len(self._waiting) + len(self._working) - self._incomplete

    def admit(self, sock: Any, address: Any) -> Connection | None:
        """Add a newcomer. None if its client has reached its limit and all its connections are being served."""
        client = _client_of(address)
        if client is not None:
            if self._count_by_client[client] >= self._per_client:
                self._evict(next((other for other in self._waiting if other.client == client), None))
                if self._count_by_client[client] >= self._per_client:
                    self._refused += 1
                    return None
            self._count_by_client[client] += 1
        connection = Connection(sock, client)
        self.mark_waiting(connection, REQUEST_SECONDS)
        return connection

    def mark_waiting(self, connection: Connection, seconds: float = math.inf) -> None:
        """We wait for the client, for ``seconds`` at most. Without ``seconds`` the caller sets a timeout itself."""
        if not connection.is_evicted:
            self._unmark(connection)
            self._incomplete += seconds == math.inf
            self._waiting[connection] = time.monotonic() + seconds

    def mark_working(self, connection: Connection) -> None:
        """The client waits for us, for REQUEST_SECONDS at most."""
        if not connection.is_evicted:
            self._unmark(connection)
            self._working[connection] = time.monotonic() + REQUEST_SECONDS

    def remove(self, connection: Connection) -> None:
        self._unmark(connection)
        if not connection.is_evicted:
            self._release(connection.client)

    def evict_idle(self) -> None:
        """Evict the connection that has waited longest."""
        self._evict(next(iter(self._waiting), None))

    def close_overdue(self) -> None:
        """Shut down the connections whose deadline is over, and log how many were evicted and refused."""
        now = time.monotonic()
        for deadlines in (self._waiting, self._working):
            for connection in [connection for connection, deadline in deadlines.items() if deadline < now]:
                connection.shut_down()
        for event, count in (("connections_evicted", self._evicted), ("connections_refused", self._refused)):
            if count:
                log.warning(event, extra={"connections": count})
        self._evicted = self._refused = 0

    def limit_waits(self, seconds: float) -> None:
        """Wait for the next request of a connection for ``seconds`` from now at most."""
        latest = time.monotonic() + seconds
        for connection, deadline in self._waiting.items():
            if latest < deadline < math.inf:
                self._waiting[connection] = latest

    def _evict(self, connection: Connection | None) -> None:
        if connection is not None:
            self._unmark(connection)
            connection.is_evicted = True
            self._release(connection.client)
            connection.shut_down()
            self._evicted += 1

    def _unmark(self, connection: Connection) -> None:
        self._incomplete -= self._waiting.pop(connection, None) == math.inf
        self._working.pop(connection, None)

    def _release(self, client: str | None) -> None:
        if client is not None:
            self._count_by_client[client] -= 1
            if not self._count_by_client[client]:
                del self._count_by_client[client]


def _client_of(address: Any) -> str | None:
    """What an address counts as: an IPv6 address as its /64, which one client owns; a Unix socket as nobody."""
    if not isinstance(address, tuple):
        return None
    host: str = address[0]
    if ":" not in host:
        return host
    found = ipaddress.IPv6Address(host.partition("%")[0])
    return str(found.ipv4_mapped or int(found) >> 64)
