"""Who may stay: how many connections a client may have of a worker's, until when each may wait, and who gives way."""

import ipaddress
import logging
import math
import socket
import time
from collections import Counter
from contextlib import suppress
from typing import Any

REQUEST_SECONDS = 15.0  # more than any honest request takes once its body is there, its wait for the gate included

log = logging.getLogger(__name__)


class Connection:
    """A socket, whom it counts for, and whether it had to make room for another."""

    def __init__(self, sock: Any, client: str | None) -> None:
        self.socket = sock
        self.client = client
        self.gave_way = False

    def cut_off(self) -> None:
        """Its greenlet wakes up, finds that nothing more will come, and closes."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Connections:
    """All of a worker's. Who waits for his client gives way; who works does not.

    A client that has too many connections gives up the one that has waited longest, and its newcomer is served: of
    many people behind one address it costs somebody an idle connection, which browsers open again unasked. To close
    the newcomer instead would let one of them lock out all others. Only where all are at work is the newcomer closed.
    """

    def __init__(self, per_client: int) -> None:
        self._per_client = per_client or math.inf
        # Until when each may wait or work. Of those that wait, the one that has waited longest comes first.
        self._waiting: dict[Connection, float] = {}
        self._working: dict[Connection, float] = {}
        self._held: Counter[str] = Counter()  # by client
        self._given_way = self._refused = 0  # since the last line in the log
        self._unfinished = 0  # those that wait for the rest of a request, and those that end

    @property
    def crowd(self) -> int:
        """How many have asked for something or are about to; not those with half a request."""
        return len(self._waiting) + len(self._working) - self._unfinished

    def admit(self, sock: Any, address: Any) -> Connection | None:
        """Take a newcomer in; None when its client has as many as it may, and all of them work."""
        client = _client_of(address)
        if client is not None:
            if self._held[client] >= self._per_client:
                self._make_room(next((one for one in self._waiting if one.client == client), None))
                if self._held[client] >= self._per_client:
                    self._refused += 1
                    return None
            self._held[client] += 1
        connection = Connection(sock, client)
        self.wait(connection, REQUEST_SECONDS)
        return connection

    def wait(self, connection: Connection, seconds: float = math.inf) -> None:
        """From now on it waits for its client, who has so long; without ``seconds`` the caller keeps the time."""
        if not connection.gave_way:
            self._forget(connection)
            self._unfinished += seconds == math.inf
            self._waiting[connection] = time.monotonic() + seconds

    def work(self, connection: Connection) -> None:
        """From now on its client waits for us, REQUEST_SECONDS at the most."""
        if not connection.gave_way:
            self._forget(connection)
            self._working[connection] = time.monotonic() + REQUEST_SECONDS

    def leave(self, connection: Connection) -> None:
        self._forget(connection)
        if not connection.gave_way:
            self._release(connection.client)

    def make_room(self) -> None:
        """Who has waited longest gives way to a newcomer."""
        self._make_room(next(iter(self._waiting), None))

    def cut_off_the_late(self) -> None:
        moment = time.monotonic()
        for deadlines in (self._waiting, self._working):
            for connection in [connection for connection, until in deadlines.items() if until < moment]:
                connection.cut_off()
        for event, count in (("connections_gave_way", self._given_way), ("connections_refused", self._refused)):
            if count:
                log.warning(event, extra={"connections": count})
        self._given_way = self._refused = 0

    def hurry(self, seconds: float) -> None:
        """Who waits for a next request has so long from now on."""
        end = time.monotonic() + seconds
        self._waiting = {
            connection: until if until == math.inf else min(until, end) for connection, until in self._waiting.items()
        }

    def _make_room(self, connection: Connection | None) -> None:
        if connection is not None:
            self._forget(connection)
            connection.gave_way = True
            self._release(connection.client)
            connection.cut_off()
            self._given_way += 1

    def _forget(self, connection: Connection) -> None:
        self._unfinished -= self._waiting.pop(connection, None) == math.inf
        self._working.pop(connection, None)

    def _release(self, client: str | None) -> None:
        if client is not None:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]


def _client_of(address: Any) -> str | None:
    """Whom an address counts for: of IPv6 the /64, which one client has all of; on a Unix socket nobody."""
    if not isinstance(address, tuple):
        return None
    host: str = address[0]
    if ":" not in host:
        return host
    found = ipaddress.IPv6Address(host.partition("%")[0])
    return str(found.ipv4_mapped or int(found) >> 64)
