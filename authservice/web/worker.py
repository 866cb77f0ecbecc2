"""The gunicorn worker: a greenlet for each connection, bounded in time, and what gunicorn refuses is problem+json."""

import logging
import os
import socket
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import gevent
import gevent.socket
from gevent import monkey
from gevent.pool import Pool
from gunicorn import util
from gunicorn.http import get_parser, wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.ggevent import GeventWorker

from authservice.config import load
from authservice.web import problems
from authservice.web.observability import AT_METRICS_ADDRESS
from authservice.web.outgoing import Response, refusal_bytes, refusal_for

HESITATION_SECONDS = 20e-6  # for each connection that a worker has
HESITATION_MAX_SECONDS = 2e-3
ACCEPTED_AT_ONCE = 4
REQUEST_SECONDS = 15.0  # more than any honest request takes, its wait for the gate included
LINGER_SECONDS = 2.0  # for a client to take its last answer; for one that is kept, to ask once more as the worker ends
TICK_SECONDS = 0.5

log = logging.getLogger(__name__)


class Worker(GeventWorker):  # type: ignore[misc]
    """gunicorn's greenlets, with refusals of ours, an end to every wait, and an end of its own that resets nobody."""

    alive: bool
    sockets: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = Pool(self.worker_connections)
        self._metrics_addresses: set[Any] = set()
        # Until when each may wait: for its next request, the longest waiting first, and for its answer.
        self._idle: dict[Any, float] = {}
        self._busy: dict[Any, float] = {}

    def patch(self) -> None:
        """Only the listeners: gunicorn.conf.py has patched Python itself, before anything was imported."""
        assert monkey.is_module_patched("socket"), "start gunicorn with this repository's gunicorn.conf.py"
        self.sockets = [
            gevent.socket.socket(listener.FAMILY, socket.SOCK_STREAM, fileno=listener.sock.detach())
            for listener in self.sockets
        ]

    def run(self) -> None:
        """Serve until told to end; then answer all that was asked, of those too who have only just connected."""
        self._metrics_addresses = _addresses(load(os.environ)["METRICS"])
        for listener in self.sockets:
            listener.setblocking(False)
        accepting = [gevent.spawn(self._accept, listener) for listener in self.sockets]
        while self.alive:
            self._tick()
        gevent.killall(accepting)
        # Behind a master that has closed its own listeners, the kernel resets whoever is not accepted.
        for listener in self.sockets:
            with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):
                while True:
                    self._take(listener)
            listener.close()
        end = time.monotonic() + LINGER_SECONDS
        self._idle = {client: min(until, end) for client, until in self._idle.items()}
        give_up = time.monotonic() + self.cfg.graceful_timeout
        while len(self._connections) and time.monotonic() < give_up:
            self._tick()

    def notify(self) -> None:
        """Tell the master that all is well; without one, end as if told to."""
        self.tmp.notify()
        if self.ppid != os.getppid():
            self.alive = False

    def _tick(self) -> None:
        """Cut off who has had his time."""
        self.notify()
        moment = time.monotonic()
        for waiting in (self._idle, self._busy):
            for client in [client for client, until in waiting.items() if until < moment]:
                _cut_off(client)
        gevent.sleep(TICK_SECONDS)

    def _accept(self, listener: Any) -> None:
        """Take connections for ever.

        The fuller a worker is, the longer it hesitates: else the one that is awake already takes them all, and with
        clients that keep their connections the other cores, and their share of the hashing, lie idle.
        """
        while True:
            gevent.socket.wait_read(listener.fileno())
            gevent.sleep(min(len(self._connections) * HESITATION_SECONDS, HESITATION_MAX_SECONDS))
            try:
                for _ in range(ACCEPTED_AT_ONCE):
                    self._take(listener)
                    if self._connections.full():
                        break  # until there is a newcomer for whom to make room
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another worker was faster, or the client has gone
            except OSError:  # too many open files
                self._make_room()
                gevent.sleep(TICK_SECONDS)

    def _take(self, listener: Any) -> None:
        while self._connections.full():
            self._make_room()
            self._connections.wait_available(TICK_SECONDS)
        client, address = listener.accept()
        self._connections.spawn(self.handle, listener.getsockname(), client, address)

    def _make_room(self) -> None:
        """Who has waited longest without a request gives way to a newcomer."""
        for client in self._idle:
            _cut_off(client)
            break

    def handle(self, here: Any, client: Any, address: Any) -> None:
        """One connection, from its first byte to its last."""
        client.setblocking(True)
        request = None
        try:
            if self.cfg.is_ssl:
                client = ssl_wrap_socket(client, self.cfg)  # the handshake comes with the first byte that is read
            parser = get_parser(self.cfg, client, address)
            while True:
                request = None
                patience = max(self.cfg.keepalive, LINGER_SECONDS) if self.alive else LINGER_SECONDS
                self._idle[client] = time.monotonic() + patience
                request = next(parser)
                del self._idle[client]
                self._busy[client] = time.monotonic() + REQUEST_SECONDS
                self._answer(here, request, client, address)
                # What is left of a body, bounded in time and size: who sends on and on would have every turn.
                self._busy[client] = end = time.monotonic() + LINGER_SECONDS
                if not parser.finish_body(deadline=end):
                    break
                del self._busy[client]
                # The others have a turn: else a client that is quick to ask again never waits, and they wait for long.
                gevent.sleep(0)
        except (NoMoreData, StopIteration, OSError) as ending:
            log.debug("connection_ended", extra={"error": type(ending).__name__})
        except (Exception, SystemExit) as error:
            self.handle_error(request, client, address, error)
        finally:
            self._idle.pop(client, None)
            self._busy.pop(client, None)
            _close(client)

    def _answer(self, here: Any, request: Any, client: Any, address: Any) -> None:
        """gunicorn's handle_request, without hooks, upgrades and sendfile.

        Raises StopIteration where the connection is to end.
        """
        started = datetime.now(UTC)
        response, environ = wsgi.create(request, client, address, here, self.cfg, Response)
        environ["wsgi.multithread"] = True
        if self._metrics_addresses and here[:2] in self._metrics_addresses:
            environ[AT_METRICS_ADDRESS] = True
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive or not self.cfg.keepalive:
            response.force_close()
        try:
            answer = self.wsgi(environ, response.start_response)
            try:
                for piece in answer:
                    response.write(piece)
                response.close()
            finally:
                self.log.access(response, request, environ, datetime.now(UTC) - started)
                if hasattr(answer, "close"):
                    answer.close()
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) or not response.has_begun:
                raise
            about = {"requestId": environ.get(problems.REQUEST_ID), "error": type(error).__name__}
            log.error("crash", exc_info=error, extra=about)
            raise StopIteration from None  # nothing may follow an answer, or half of one
        if response.should_close():
            raise StopIteration

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        refusal, request_id = refusal_for(exc), uuid.uuid4().hex
        # The class alone: the text repeats what a stranger sent, a token among it.
        about = {"requestId": request_id, "ip": addr[0] if addr else None, "error": type(exc).__name__}
        if refusal.status >= 500:
            log.error("crash", exc_info=exc, extra=about)
        else:
            log.info("request", extra={**about, "status": refusal.status, "code": refusal.code})
        try:
            util.write_nonblock(client, refusal_bytes(refusal, request_id))
        except OSError:  # the client has gone
            log.debug("unanswered", extra=about)


def _addresses(kept_to: str) -> set[Any]:
    """The addresses that FLASK_METRICS names, as a listener's own; none of "on" and "off"."""
    host, _, port = kept_to.partition(":")
    return {found[4][:2] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)} if port else set()


def _cut_off(client: Any) -> None:
    """Its greenlet wakes up, finds that nothing more will come, and closes."""
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _close(client: Any) -> None:
    """Let the client take the last answer before it sees the end: what it still sends would reset the connection."""
    with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            gevent.sleep(0)
    client.close()
