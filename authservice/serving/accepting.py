"""Accept connections: spread over the workers, and with room for each newcomer."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import gevent.socket
from gevent.pool import Pool

from authservice.serving.connections import Connections

# docs/decisions/0003-accept-delay.md has the figures.
ACCEPT_DELAY_SECONDS = 20e-6  # per active connection of the worker
ACCEPT_DELAY_MAX_SECONDS = 2e-3
ACCEPT_BATCH = 4
BACKLOG_SECONDS = 2.0  # to accept what is left in the backlog when the worker ends
RETRY_SECONDS = 0.5


class Acceptor:
    """A listener of a worker. It has the methods that gunicorn's ``run`` calls on a gevent server."""

    def __init__(self, listener: Any, pool: Pool, connections: Connections, handle: Callable[..., None]) -> None:
        listener.setblocking(False)
        self.pool = pool
        self._listener = listener
        self._connections = connections
        self._handle = handle  # called with a Connection and its address, in a greenlet of the pool

    def start(self) -> None:
        self._accepting = gevent.spawn(self._accept_batches)

    def close(self) -> None:
        """Stop accepting, but serve the connections that exist.

        If the master has closed its own listeners, the kernel resets every connection that is not accepted.
        """
        self._accepting.kill()
        with suppress(OSError), gevent.Timeout(BACKLOG_SECONDS, False):
            while True:
                self._accept()
        self._listener.close()

    def stop(self, timeout: float) -> None:
        """End the requests that run longer than gunicorn's graceful_timeout."""
        self.pool.kill(timeout=timeout)

    def _accept_batches(self) -> None:
        """The more active connections a worker has, the longer it waits before it accepts the next ones.

        Without the delay the worker that is awake already takes them all. If clients keep their connections, the other
        cores stay idle. Connections with half a request do not count, so an attacker cannot cause a delay with them.
        """
        while True:
            gevent.socket.wait_read(self._listener.fileno())
            gevent.sleep(min(self._connections.active_count * ACCEPT_DELAY_SECONDS, ACCEPT_DELAY_MAX_SECONDS))
            try:
                for _ in range(ACCEPT_BATCH):
                    self._accept()
                    if self.pool.full():
                        break  # evict nobody before somebody else connects
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another worker was faster, or the client is gone
            except OSError:  # too many open files
                self._connections.evict_idle()
                gevent.sleep(RETRY_SECONDS)

    def _accept(self) -> None:
        while self.pool.full():
            self._connections.evict_idle()
            self.pool.wait_available(RETRY_SECONDS)
        client, address = self._listener.accept()
        connection = self._connections.admit(client, address)
        if connection is None:
            client.close()
        else:
            self.pool.spawn(self._handle, connection, address)
