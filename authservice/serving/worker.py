"""The gunicorn worker: one greenlet per connection, a deadline for every wait, and problem+json for every refusal."""

import logging
import os
import socket
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from ssl import SSLContext
from typing import Any

import gevent
import gevent.socket
from gevent import monkey
from gevent.pool import Pool
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.ggevent import GeventWorker

from authservice.config import load
from authservice.mail.deliver import Deliverer
from authservice.serving.accepting import Acceptor
from authservice.serving.connections import Connection, Connections
from authservice.serving.incoming import Incoming, Parser
from authservice.serving.outgoing import Response, refusal_bytes, refusal_for
from authservice.web import problems
from authservice.web.health import AT_METRICS_ADDRESS

LINGER_SECONDS = 2.0  # for a client to read its last response, or to send one more request while the worker ends
LINGER_MAX_BYTES = 1_048_576
LAST_MAILS_SECONDS = 10.0  # for those that are being sent when the worker ends; others are left to other workers

log = logging.getLogger(__name__)


class Worker(GeventWorker):  # type: ignore[misc]
    """gunicorn's gevent worker with our own handling of connections. docs/decisions/0001-worker.md says why."""

    alive: bool
    sockets: list[Any]
    _deliverer: Deliverer | None = None

    def patch(self) -> None:
        """Wrap the listeners only: gunicorn_conf.py patches Python itself before it imports anything."""
        assert monkey.is_module_patched("socket"), "start gunicorn with the service's own gunicorn_conf.py"
        self.sockets = [
            gevent.socket.socket(listener.FAMILY, socket.SOCK_STREAM, fileno=listener.sock.detach())
            for listener in self.sockets
        ]

    def run(self) -> None:
        settings = load(os.environ)
        self._connections = Connections(self._limit_per_client(settings))
        self._metrics_addresses = _resolve(settings["METRICS"])
        self._pool = Pool(self.worker_connections)
        super().run()
        if self._deliverer:
            self._deliverer.stop()
            self._delivery.join(LAST_MAILS_SECONDS)

    def deliver_mails(self, deliverer: Deliverer) -> None:
        """Deliver in a greenlet until the worker ends."""
        self._deliverer, self._delivery = deliverer, gevent.spawn(deliverer.run)

    def server_class(self, listener: Any, ssl_context: SSLContext | None = None, **unused: Any) -> Acceptor:
        """What ``run`` starts for each listener. All listeners share one pool."""
        handle = partial(self.handle, listener.getsockname(), ssl_context)
        return Acceptor(listener, self._pool, self._connections, handle)

    def notify(self) -> None:
        """Tell the master every second that the worker is alive. If the master is gone, end gracefully."""
        self.tmp.notify()
        if self.ppid != os.getppid():
            self.alive = False
        if not self.alive:
            self._connections.limit_waits(LINGER_SECONDS)
            if self._deliverer:
                self._deliverer.stop()
        self._connections.close_overdue()

    def _limit_per_client(self, settings: dict[str, Any]) -> int:
        """How many connections one address may have. 0 is no limit: a proxy has the connections of all its clients."""
        if settings["TRUSTED_PROXIES"] or self.cfg.proxy_protocol != "off":
            return 0
        limit: int | None = settings["CONNECTIONS_PER_CLIENT"]
        return max(1, self.worker_connections // 10) if limit is None else limit

    def handle(self, here: Any, ssl_context: SSLContext | None, connection: Connection, address: Any) -> None:
        """Serve one connection from its first byte to its last. ``here`` is the listener's own address."""
        try:
            connection.socket.setblocking(True)
            if ssl_context is not None:  # the handshake runs when the first byte is read
                connection.socket = ssl_context.wrap_socket(
                    connection.socket, server_side=True, do_handshake_on_connect=False
                )
            parser = Parser(self.cfg, Incoming(connection, self._connections), address)
            while True:
                timeout = max(self.cfg.keepalive, LINGER_SECONDS) if self.alive else LINGER_SECONDS
                self._connections.mark_waiting(connection, timeout)
                request = next(parser)
                self._connections.mark_working(connection)
                self.handle_request(here, request, connection.socket, address)
                self._connections.mark_waiting(connection)
                if not _drain_body(parser):
                    break
                gevent.sleep(0)  # let the other connections run, even if this client has sent its next request already
        except (NoMoreData, StopIteration, OSError) as error:
            log.debug("connection_ended", extra={"error": type(error).__name__})
        except (Exception, SystemExit) as error:
            self.handle_error(None, connection.socket, address, error)
        finally:
            self._connections.mark_waiting(connection)
            util.close_graceful(connection.socket, LINGER_SECONDS, LINGER_MAX_BYTES)
            self._connections.remove(connection)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """gunicorn's method, without hooks, upgrades and sendfile, and with our Response and log.

        Raises StopIteration if the connection must be closed.
        """
        started = datetime.now(UTC)
        response, environ = wsgi.create(req, sock, addr, listener_name, self.cfg, Response)
        environ["wsgi.multithread"] = True
        if self._metrics_addresses and listener_name[:2] in self._metrics_addresses:
            environ[AT_METRICS_ADDRESS] = True
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive or not self.cfg.keepalive:
            response.force_close()
        try:
            body = self.wsgi(environ, response.start_response)
            try:
                for part in body:
                    response.write(part)
                response.close()
            finally:
                self.log.access(response, req, environ, datetime.now(UTC) - started)
                if hasattr(body, "close"):
                    body.close()
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) or not response.is_started:
                raise
            fields = {"requestId": environ.get(problems.REQUEST_ID), "error": type(error).__name__}
            log.error("crash", exc_info=error, extra=fields)
            raise StopIteration from None  # a second response must not follow the first, or half of it
        if response.should_close():
            raise StopIteration

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        refusal, request_id = refusal_for(exc), uuid.uuid4().hex
        # Log the class only: the message repeats what the client sent, which may be a token.
        fields = {"requestId": request_id, "ip": addr[0] if addr else None, "error": type(exc).__name__}
        if refusal.status >= 500:
            log.error("crash", exc_info=exc, extra=fields)
        else:
            log.info("request", extra={**fields, "status": refusal.status, "code": refusal.code})
        with suppress(OSError):  # the client is gone
            util.write_nonblock(client, refusal_bytes(refusal, request_id))


def _resolve(setting: str) -> set[Any]:
    """The addresses that FLASK_METRICS names, as a listener reports them; none for "on" and "off"."""
    host, _, port = setting.partition(":")
    return {found[4][:2] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)} if port else set()


def _drain_body(parser: Parser) -> bool:
    """Whether the rest of the body is read. An error in it cannot be reported: the response is sent already."""
    try:
        return bool(parser.finish_body(deadline=time.monotonic() + LINGER_SECONDS))
    except Exception:
        return False
