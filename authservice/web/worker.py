"""The gunicorn worker: what gunicorn itself refuses, before any application sees it, is problem+json as well."""

import errno
import json
import logging
import selectors
import socket
import time
import uuid
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http.errors import (
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from authservice import errors
from authservice.errors import Refusal
from authservice.web import problems

HESITATION_SECONDS = 20e-6  # for each connection that a worker has
HESITATION_MAX_SECONDS = 2e-3
REQUEST_SECONDS = 15.0  # more than any honest request takes, its wait for a thread and for the gate included
LEAST_SECONDS = 3.0  # for a request that has waited longer than that for its thread
LINGER_SECONDS = 2.0  # for a client to take its last answer and close

log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, with refusals of ours, patience that costs no thread, and an end that resets nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queued: dict[TConn, float] = {}  # until when a request should have been answered
        self._busy: dict[TConn, float] = {}  # until when a thread may work for a connection
        self._lingering: dict[TConn, float] = {}  # until when a client may close by itself

    def accept(self, listener: Any) -> None:
        """Take a connection, which gets a thread with its first byte.

        gunicorn gives it one at once, for up to five seconds: four connections that a browser opens ahead of need
        would hold a whole worker.
        The fuller a worker is, the longer it hesitates: else the one that is awake already takes them all, and with
        clients that keep their connections the other cores, and their share of the hashing, lie idle.
        """
        if self.alive:
            time.sleep(min(self.nr_conns * HESITATION_SECONDS, HESITATION_MAX_SECONDS))
        if self.nr_conns >= self.worker_connections - 1:
            self._drop_silent()
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._drop_silent()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return  # another worker was faster, or the client has gone
        connection = TConn(self.cfg, client, address, listener.getsockname())
        self.nr_conns += 1
        linger = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        connection.timeout = time.monotonic() + linger
        self.pending_conns.append(connection)
        self.poller.register(client, selectors.EVENT_READ, partial(self.on_pending_socket_readable, connection))

    def set_accept_enabled(self, enabled: bool) -> None:
        """Once the worker ends: take what has connected already and then let go of the listeners.

        gunicorn keeps them open until its last request is answered. Behind a master that has closed its own, the
        kernel would go on to accept for nobody, and reset those clients in the end.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            waiting = -1
            while waiting < self.nr_conns:
                waiting = self.nr_conns
                self.accept(listener)
            listener.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """Those that have not said a word yet end with those that have nothing more to say."""
        super()._cap_keepalive(deadline)
        for connection in self.pending_conns:
            connection.timeout = min(connection.timeout, deadline)

    def _drop_silent(self) -> None:
        """Where there is no room for a newcomer, who has waited longest without a word makes it."""
        if self.pending_conns:
            connection = self.pending_conns.popleft()
            self.poller.unregister(connection.sock)
            self.nr_conns -= 1
            connection.close()

    def enqueue_req(self, connection: TConn) -> None:
        self._queued[connection] = time.monotonic() + REQUEST_SECONDS
        super().enqueue_req(connection)

    def handle(self, connection: TConn) -> Any:
        """In a thread: only from here on can the client hold anything up."""
        self._busy[connection] = max(self._queued.pop(connection), time.monotonic() + LEAST_SECONDS)
        return super().handle(connection)

    def finish_request(self, connection: TConn, done: "Future[Any]") -> None:
        """Let the client take the last answer, and close, without waiting for it.

        gunicorn waits for two seconds, in the one thread that accepts: four clients a second who do not close would
        stop the service.
        """
        self._busy.pop(connection, None)
        if not done.cancelled() and done.exception() is None and done.result():
            super().finish_request(connection, done)
            return
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
            self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._drain, connection))
        except (OSError, ValueError):  # it is closed already
            self.nr_conns -= 1
            connection.close()
        else:
            self._lingering[connection] = time.monotonic() + LINGER_SECONDS

    def _drain(self, connection: TConn, client: socket.socket) -> None:
        with suppress(OSError):
            if client.recv(65_536):
                return
        self._let_go(connection)

    def _let_go(self, connection: TConn) -> None:
        del self._lingering[connection]
        self.poller.unregister(connection.sock)
        self.nr_conns -= 1
        connection.close()

    def murder_pending(self) -> None:
        """Also end those who linger too long, and those who hold a thread by sending or reading next to nothing."""
        super().murder_pending()
        moment = time.monotonic()
        for connection in [one for one, end in self._lingering.items() if end < moment]:
            self._let_go(connection)
        for connection in [one for one, end in [*self._busy.items()] if end < moment]:
            self._busy.pop(connection, None)
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # its thread wakes up and gives the connection back

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        refusal, request_id = _refusal_for(exc), uuid.uuid4().hex
        # The class alone: the text repeats what a stranger sent, a token among it.
        about = {"requestId": request_id, "ip": addr[0] if addr else None, "error": type(exc).__name__}
        if refusal.status >= 500:
            log.error("crash", exc_info=exc, extra=about)
        else:
            log.info("request", extra={**about, "status": refusal.status, "code": refusal.code})
        try:
            util.write_nonblock(client, _answer(refusal, request_id))
        except OSError:  # the client has gone
            log.debug("unanswered", extra=about)


def _refusal_for(error: BaseException) -> Refusal:
    if isinstance(error, LimitRequestLine):
        return errors.UriTooLong()
    if isinstance(error, LimitRequestHeaders):
        return errors.HeadersTooLarge()
    ours = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)
    if isinstance(error, ParseException) and not isinstance(error, ours):
        return errors.RequestMalformed()
    return errors.InternalError()


def _answer(refusal: Refusal, request_id: str) -> bytes:
    """The whole answer as it goes over the wire; where the next request would begin is unknown, so it is the last."""
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
