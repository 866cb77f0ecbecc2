"""Idle clients delay nobody, and are evicted for newcomers."""

import contextlib
import json
import os
import resource
import socket
import threading
import time

import pytest
import requests

from tests.server.processes import wait_until

JSON_HEAD = b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def service(serve):
    return serve(workers=1)


@pytest.fixture
def connect(service):
    """Open connections that send the given bytes and then nothing."""
    opened = []

    def connect(sent: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", service.port), 10)
        connection.sendall(sent)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def seconds_to_answer(service):
    started = time.monotonic()
    assert requests.get(f"{service.url}/healthz", timeout=60).status_code == 200
    return time.monotonic() - started


@pytest.mark.parametrize("sent", [b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"?\r\n\r\n"])
def test_clients_that_do_not_close_delay_nobody(service, connect, sent):
    for _ in range(12):
        connect(sent)
    assert max(seconds_to_answer(service) for _ in range(5)) < 2  # gunicorn would wait two seconds for each


def test_the_last_response_arrives_completely(connect):
    connection = connect(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while part := connection.recv(65_536):
        answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.rstrip().endswith(b"}")


def test_a_full_worker_evicts_the_longest_waiting_connection(serve):
    service = serve(workers=1, GUNICORN_CMD_ARGS="--worker-connections 20", FLASK_CONNECTIONS_PER_CLIENT="0")
    silent = [socket.create_connection(("127.0.0.1", service.port), 10) for _ in range(40)]
    wait_until(lambda: seconds_to_answer(service) < 1)
    silent[0].settimeout(10)
    assert silent[0].recv(1) == b""  # the oldest is evicted first
    silent[-1].setblocking(False)
    with pytest.raises(BlockingIOError):  # and the newest is still open
        silent[-1].recv(1)
    for connection in silent:
        connection.close()


def test_a_newcomer_is_served_when_a_connection_of_a_full_worker_becomes_idle(serve):
    service = serve(
        workers=1,
        GUNICORN_CMD_ARGS="--worker-connections 2",
        FLASK_CONNECTIONS_PER_CLIENT="0",
        FLASK_BCRYPT_LOG_ROUNDS="14",
    )
    newcomer = threading.Thread(target=seconds_to_answer, args=(service,))
    with contextlib.ExitStack() as opened:
        busy = [opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 30)) for _ in range(2)]
        for connection, name in zip(busy, "ab", strict=True):
            body = f'{{"email": "{name}@example.com", "password": "correct horse battery"}}'.encode()
            connection.sendall(
                JSON_HEAD.replace(b"/auth", b"/users") + b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
        time.sleep(0.3)
        newcomer.start()
        for connection in busy:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")
        newcomer.join()
    lines = [json.loads(line) for line in service.output().splitlines() if '"event": "request"' in line]
    # By the log: on a busy machine the clients see a response later than it was sent, and not in that order.
    assert [line["route"] for line in lines][-3:] == ["/users", "/healthz", "/users"]


def test_a_client_that_drips_a_body_after_its_response_is_cut_off(service, connect):
    connection = connect(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    started = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < started + 20:
            connection.sendall(b"x")
            time.sleep(0.2)
    assert time.monotonic() - started < 10


def test_without_keep_alive_a_client_still_has_time_to_ask(serve):
    service = serve(workers=1, GUNICORN_CMD_ARGS="--keep-alive 0")
    with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
        time.sleep(1)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can set the limits of another process")
def test_a_worker_without_file_descriptors_evicts_idle_connections(service):
    (worker,) = service.workers()
    in_use = len(os.listdir(f"/proc/{worker}/fd"))
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (in_use + 8, in_use + 8))
    silent = [socket.create_connection(("127.0.0.1", service.port), 10) for _ in range(20)]
    wait_until(lambda: seconds_to_answer(service) < 5, 30)
    assert service.workers() == [worker]
    for connection in silent:
        connection.close()


@pytest.mark.faults
@pytest.mark.waits
def test_clients_that_stop_in_the_middle_are_cut_off(connect):
    silent, head, body = connect(b""), connect(b"G"), connect(JSON_HEAD + b"Content-Length: 9\r\n\r\n")
    started = time.monotonic()
    for connection, seconds in [(head, 5), (body, 5), (silent, 30)]:
        connection.settimeout(60)
        while connection.recv(65_536):
            pass
        assert seconds - 1 < time.monotonic() - started < seconds + 5
