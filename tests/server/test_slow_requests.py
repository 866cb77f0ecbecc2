"""A request that takes too long to arrive is answered 408. An upload may take longer while it keeps coming."""

import contextlib
import json
import select
import socket
import threading
import time
import uuid

import pytest

from authservice.serving.incoming import BODY_PART_BYTES, BODY_PART_SECONDS, HEAD_SECONDS
from tests.conftest import PASSWORD
from tests.server import pieces
from tests.server.processes import wait_until
from tests.server.raw import Connection, exchange
from tests.server.test_http_edge import assert_problem

HEAD = b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
UNFINISHED = {
    "a head": b"G",
    "a head of several fields": HEAD,
    "a request line after an empty one": b"\r\n",
    "a body": HEAD + b"Content-Length: 9\r\n\r\n",
    "a body that has begun": HEAD + b'Content-Length: 9\r\n\r\n{"a"',
    "a body in chunks": HEAD + CHUNKED,
    "a chunk": HEAD + CHUNKED + b"9\r\n{",
    "the end of the chunks": HEAD + CHUNKED + b"2\r\n{}\r\n0\r\nTrailer: x\r\n",
}


@pytest.fixture
def service(serve):
    return serve(workers=1, app="tests.server.pieces:create()")


def test_an_incomplete_request_is_answered_408_and_closed(service):
    with contextlib.ExitStack() as opened:
        connections = {what: opened.enter_context(Connection(service.port)) for what in UNFINISHED}
        for what, connection in connections.items():
            connection.send(UNFINISHED[what])
        for what, connection in connections.items():
            answer = connection.answer()
            assert_problem(answer, 408, "request_timeout")
            assert answer.headers["connection"] == "close", what
            assert connection.is_closed()
    assert '"event": "crash"' not in service.output()
    assert service.output().count('"status": 408') == len(UNFINISHED)


def test_a_byte_now_and_then_does_not_extend_the_deadline(service):
    def drip(connection):
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection.send(b"x")
                time.sleep(0.05)

    over = threading.Event()
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(Connection(service.port)) for _ in range(2)]
        connections[0].send(HEAD + b"X-Slow: ")
        connections[1].send(HEAD + b"Content-Length: 16384\r\n\r\n")
        dripping = [threading.Thread(target=drip, args=(connection,)) for connection in connections]
        for thread in dripping:
            thread.start()
        try:
            for connection in connections:
                assert_problem(connection.answer(), 408, "request_timeout")
        finally:
            over.set()
            for thread in dripping:
                thread.join()


def test_a_large_upload_may_take_as_long_as_it_keeps_coming(service):
    """It takes longer than the limits for small bodies and for requests."""
    parts = [b"x" * BODY_PART_BYTES] * 6
    for length in (b"Content-Length: %d\r\n\r\n" % (6 * BODY_PART_BYTES), CHUNKED):
        with Connection(service.port) as connection:
            connection.send(UPLOAD + length)
            for part in parts:
                connection.send(b"%x\r\n%s\r\n" % (len(part), part) if length == CHUNKED else part)
                time.sleep(0.25 * BODY_PART_SECONDS)
            if length == CHUNKED:
                connection.send(b"0\r\n\r\n")
            answer = connection.answer()
            assert (answer.status, answer.body) == (200, b"%d" % (6 * BODY_PART_BYTES))
            connection.send(b"GET /length HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.answer().body == pieces.WHOLE


def test_a_request_that_waits_for_its_body_is_evicted_for_a_newcomer(serve):
    service = serve(workers=1, GUNICORN_CMD_ARGS="--worker-connections 10", FLASK_CONNECTIONS_PER_CLIENT="0")
    email = f"{uuid.uuid4().hex}@example.com"
    body = json.dumps({"email": email, "password": PASSWORD}).encode()
    with contextlib.ExitStack() as opened:
        waiting = [
            opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 2 * HEAD_SECONDS))
            for _ in range(10)
        ]
        for connection in waiting:
            connection.sendall(b"POST /users" + HEAD[len(b"POST /auth") :] + b"Content-Length: %d\r\n\r\n" % len(body))
        time.sleep(0.2 * BODY_PART_SECONDS)
        asked = time.monotonic()
        assert exchange(service.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        assert time.monotonic() - asked < 0.2 * BODY_PART_SECONDS  # before the deadline of any of them
        [gone], _, _ = select.select(waiting, [], [], 0)
        assert gone.recv(1) == b""
        waiting.remove(gone)
        waiting[0].sendall(body)
        assert waiting[0].recv(65_536).startswith(b"HTTP/1.1 201 ")
        wait_until(lambda: '"event": "connections_evicted", "connections": 1' in service.output())
        assert '"event": "crash"' not in service.output()
        assert '"status": 400' not in service.output()  # a missing body is not treated as an empty one
