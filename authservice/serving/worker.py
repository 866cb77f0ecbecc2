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
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.ggevent import GeventWorker

from authservice.config import load
from authservice.serving.connections import Connection, Connections
from authservice.serving.incoming import Incoming, Parser
from authservice.serving.outgoing import Response, refusal_bytes, refusal_for
from authservice.web import problems
from authservice.web.health import AT_METRICS_ADDRESS

HESITATION_SECONDS = 20e-6  # for each connection that a worker has
HESITATION_MAX_SECONDS = 2e-3
ACCEPTED_AT_ONCE = 4
LINGER_SECONDS = 2.0  # for a client to take its last answer; for one that is kept, to ask once more as the worker ends
TICK_SECONDS = 0.5

log = logging.getLogger(__name__)


class Worker(GeventWorker):  # type: ignore[misc]
    """gunicorn's greenlets, with refusals of ours, an end to every wait, and an end of its own that resets nobody."""

    alive: bool
    sockets: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._greenlets = Pool(self.worker_connections)  # one for each connection

    def patch(self) -> None:
        """Only the listeners: gunicorn_conf.py has patched Python itself, before anything was imported."""
        assert monkey.is_module_patched("socket"), "start gunicorn with the service's own gunicorn_conf.py"
        self.sockets = [
            gevent.socket.socket(listener.FAMILY, socket.SOCK_STREAM, fileno=listener.sock.detach())
            for listener in self.sockets
        ]

    def run(self) -> None:
        """Serve until told to end; then answer all that was asked, of those too who have only just connected."""
        settings = load(os.environ)
        self._connections = Connections(self._limit_of_a_client(settings))
        self._metrics_addresses = _addresses(settings["METRICS"])
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
        self._connections.hurry(LINGER_SECONDS)
        give_up = time.monotonic() + self.cfg.graceful_timeout
        while len(self._greenlets) and time.monotonic() < give_up:
            self._tick()

    def notify(self) -> None:
        """Tell the master that all is well; without one, end as if told to."""
        self.tmp.notify()
        if self.ppid != os.getppid():
            self.alive = False

    def _tick(self) -> None:
        self.notify()
        self._connections.cut_off_the_late()
        gevent.sleep(TICK_SECONDS)

    def _limit_of_a_client(self, settings: dict[str, Any]) -> int:
        """How many connections one address may have; 0: as many as there are, as with proxies, who have everybody's."""
        if settings["TRUSTED_PROXIES"] or self.cfg.proxy_protocol != "off":
            return 0
        limit: int | None = settings["CONNECTIONS_PER_CLIENT"]
        return max(1, self.worker_connections // 10) if limit is None else limit

    def _accept(self, listener: Any) -> None:
        """Take connections until the worker ends.

        The fuller a worker is, the longer it hesitates: else the one that is awake already takes them all, and with
        clients that keep their connections the other cores, and their share of the hashing, lie idle. And a thousand
        who sign up at once would all wait for the database together. Those with half a request do not count: of them
        a newcomer shall not have to wait for any.
        """
        while True:
            gevent.socket.wait_read(listener.fileno())
            gevent.sleep(min(self._connections.crowd * HESITATION_SECONDS, HESITATION_MAX_SECONDS))
            try:
                for _ in range(ACCEPTED_AT_ONCE):
                    self._take(listener)
                    if self._greenlets.full():
                        break  # until there is a newcomer for whom to make room
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another worker was faster, or the client has gone
            except OSError:  # too many open files
                self._connections.make_room()
                gevent.sleep(TICK_SECONDS)

    def _take(self, listener: Any) -> None:
        while self._greenlets.full():
            self._connections.make_room()
            self._greenlets.wait_available(TICK_SECONDS)
        client, address = listener.accept()
        connection = self._connections.admit(client, address)
        if connection is None:
            client.close()
        else:
            self._greenlets.spawn(self.handle, listener.getsockname(), connection, address)

    def handle(self, here: Any, connection: Connection, address: Any) -> None:
        """One connection, from its first byte to its last."""
        request = None
        try:
            connection.socket.setblocking(True)
            if self.cfg.is_ssl:  # the handshake comes with the first byte that is read
                connection.socket = ssl_wrap_socket(connection.socket, self.cfg)
            parser = Parser(self.cfg, Incoming(connection, self._connections), address)
            while True:
                request = None
                patience = max(self.cfg.keepalive, LINGER_SECONDS) if self.alive else LINGER_SECONDS
                self._connections.wait(connection, patience)
                request = next(parser)
                self._connections.work(connection)
                self._answer(here, request, connection.socket, address)
                # What is left of a body, bounded in time and size: who sends on and on would have every turn.
                self._connections.wait(connection)
                if not _read_up(parser):
                    break
                # The others have a turn: else a client that is quick to ask again never waits, and they wait for long.
                gevent.sleep(0)
        except (NoMoreData, StopIteration, OSError) as ending:
            log.debug("connection_ended", extra={"error": type(ending).__name__})
        except (Exception, SystemExit) as error:
            self.handle_error(request, connection.socket, address, error)
        finally:
            self._connections.wait(connection)
            _close(connection.socket)
            self._connections.leave(connection)

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


def _read_up(parser: Parser) -> bool:
    """Whether the body is read to its end. What is wrong with it cannot be told any more: it has had its answer."""
    try:
        return bool(parser.finish_body(deadline=time.monotonic() + LINGER_SECONDS))
    except Exception:
        return False


def _close(client: Any) -> None:
    """Let the client take the last answer before it sees the end: what it still sends would reset the connection."""
    with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            gevent.sleep(0)
    client.close()
