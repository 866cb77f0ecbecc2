"""Five hundred slow connections, silent or dripping, without a proxy in front: they delay nobody."""

import selectors
import socket
import time

import pytest
import requests

from tests.conftest import bearer
from tests.server.processes import pass_guard, sign_up

pytestmark = pytest.mark.faults
CONNECTIONS = 500
FRESH_SECONDS = 0.25
HEAD = b"POST /auth HTTP/1.1\r\nHost: auth.example.com\r\nContent-Type: application/json\r\nContent-Length: 200\r\n"


def drip(connections, number):
    """Send one more byte on each connection: of the head on the even ones, of the body on the others."""
    for index, connection in enumerate(connections):
        whole = HEAD + (b"X-Slow: " + b"a" * 500 if index % 2 == 0 else b"\r\n" + b" " * 200)
        start = 20 if index % 2 == 0 else len(HEAD) + 2
        connection.send(whole[:start] if number == 0 else whole[start + number - 1 : start + number])


def seconds_of_fresh_requests(url, token):
    """The median time of requests on new connections, so that one delay of the machine does not count."""
    taken = []
    for _ in range(11):
        answer = requests.get(f"{url}/users/test", headers=bearer(token), timeout=10)
        assert answer.status_code == 200
        taken.append(answer.elapsed.total_seconds())
    return sorted(taken)[5]


@pytest.fixture
def crowd(serve):
    """A service, a token that passes its guard, and 500 connections to it."""
    service = serve(FLASK_CONNECTIONS_PER_CLIENT="0")  # they represent many clients
    token = sign_up(service, "alice@example.com")
    connections = [socket.create_connection(("127.0.0.1", service.port), 10) for _ in range(CONNECTIONS)]
    yield service, token, connections
    for connection in connections:
        connection.close()
    assert pass_guard(service, token).status_code == 200


def assert_none_was_answered(connections):
    """They stayed open and got no response."""
    with selectors.DefaultSelector() as waiting:
        for connection in connections:
            waiting.register(connection, selectors.EVENT_READ)
        assert waiting.select(0) == []


def test_500_dripping_connections_do_not_slow_a_fresh_request(crowd):
    service, token, connections = crowd
    for number in range(4):  # for less than the deadline of a request
        drip(connections, number)
        assert seconds_of_fresh_requests(service.url, token) < FRESH_SECONDS
        time.sleep(0.25)
    assert_none_was_answered(connections)


def test_500_silent_connections_do_not_slow_a_fresh_request(crowd):
    service, token, connections = crowd
    time.sleep(0.5)
    for _ in range(3):
        assert seconds_of_fresh_requests(service.url, token) < FRESH_SECONDS
        time.sleep(0.5)
    assert_none_was_answered(connections)
