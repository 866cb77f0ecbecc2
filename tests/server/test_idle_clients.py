"""Clients who do nothing: they hold no thread for long, and never the one that accepts."""

import socket
import time

import pytest
import requests

from tests.server.processes import wait_until


@pytest.fixture
def service(serve):
    return serve(workers=1)


@pytest.fixture
def connect(service):
    """Connections to the service that send what they are told and then nothing."""
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
def test_clients_who_do_not_close_hold_up_nobody(service, connect, sent):
    for _ in range(12):
        connect(sent)
    assert max(seconds_to_answer(service) for _ in range(5)) < 2  # gunicorn would wait two seconds for each of them


def test_the_last_answer_arrives_whole_and_then_the_end(connect):
    connection = connect(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while part := connection.recv(65_536):
        answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.rstrip().endswith(b"}")


@pytest.mark.faults
def test_clients_who_stop_in_the_middle_are_let_go(service, connect):
    for _ in range(40):
        connect(b"G")
    wait_until(lambda: seconds_to_answer(service) < 1, seconds=60)
