"""An address has a limited number of connections per worker, and its newcomers are served nevertheless."""

import contextlib
import json
import select
import socket
import sys
import threading
import time

import pytest
import requests

from authservice.serving.connections import Connections
from tests.conftest import PASSWORD
from tests.server.processes import wait_until

LIMIT = 4
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
two_addresses = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is a local address on Linux only")


@pytest.fixture
def connect():
    """Open connections from a local address. All of them close when the test ends."""
    with contextlib.ExitStack() as opened:

        def connect(service, address="127.0.0.1"):
            return opened.enter_context(
                socket.create_connection(("127.0.0.1", service.port), 15, source_address=(address, 0))
            )

        yield connect


def is_answered(connection):
    connection.sendall(GET)
    return connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def is_hashing(connection, passwords):
    """Whether so many ``passwords`` are being hashed, or wait for it."""
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return b"\nauthservice_password_hashes_in_progress %d.0\n" % passwords in answer


def closed(connections):
    """Those that the service has closed."""
    readable, _, _ = select.select(connections, [], [], 0)
    return [connection for connection in readable if connection.recv(1) == b""]


def health(service):
    assert requests.get(f"{service.url}/healthz", timeout=15).status_code == 200


@two_addresses
def test_the_longest_waiting_connection_of_the_same_address_is_evicted(serve, connect):
    service = serve(workers=1, FLASK_CONNECTIONS_PER_CLIENT=str(LIMIT))
    others = [connect(service, "127.0.0.2") for _ in range(LIMIT)]
    assert all(is_answered(connection) for connection in others)
    idle = []
    for number in range(3 * LIMIT):
        idle.append(connect(service))
        assert is_answered(idle[-1])
        wait_until(lambda number=number: idle[:-LIMIT] == idle[: max(0, number + 1 - LIMIT)])
    for connection in idle[:-LIMIT]:
        assert connection.recv(1) == b""
    assert closed(idle[-LIMIT:]) == closed(others) == []
    assert all(is_answered(connection) for connection in [*idle[-LIMIT:], *others])
    wait_until(lambda: '"event": "connections_evicted"' in service.output())


def test_the_default_limit_of_an_address_is_a_tenth_of_the_connections(serve, connect):
    service = serve(workers=1, GUNICORN_CMD_ARGS="--worker-connections 40")
    idle = [connect(service) for _ in range(4)]
    assert all(is_answered(connection) for connection in idle)
    assert is_answered(connect(service))
    wait_until(lambda: closed(idle[:1]))
    assert closed(idle[1:]) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"FLASK_CONNECTIONS_PER_CLIENT": "0"},
        {"FLASK_TRUSTED_PROXIES": "1"},
        {"FLASK_TRUSTED_PROXIES": "1", "FLASK_CONNECTIONS_PER_CLIENT": "4"},
    ],
)
def test_without_a_limit_or_behind_a_proxy_an_address_may_use_all_connections(serve, connect, settings):
    service = serve(workers=1, GUNICORN_CMD_ARGS="--worker-connections 40", **settings)
    idle = [connect(service) for _ in range(20)]
    assert all(is_answered(connection) for connection in idle)
    assert closed(idle) == []
    assert "connections_evicted" not in service.output()


@two_addresses
def test_a_connection_that_is_being_served_is_never_evicted(serve, connect):
    service = serve(workers=1, FLASK_CONNECTIONS_PER_CLIENT="2", FLASK_BCRYPT_LOG_ROUNDS="14")
    head = b"POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    busy = [connect(service) for _ in range(2)]
    for connection, name in zip(busy, "ab", strict=True):
        body = json.dumps({"email": f"{name}@example.com", "password": PASSWORD}).encode()
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    wait_until(lambda: is_hashing(connect(service, "127.0.0.2"), 2))
    newcomer = connect(service)
    with contextlib.suppress(ConnectionError):
        assert newcomer.recv(1) == b""  # immediately: no connection can be evicted
    for connection in busy:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")
    wait_until(lambda: '"event": "connections_refused", "connections": 1' in service.output())
    health(service)


def test_many_connections_from_one_address_do_not_break_its_requests(serve):
    """Each newcomer evicts a connection without a complete request."""
    service = serve(workers=1, FLASK_CONNECTIONS_PER_CLIENT="32")
    over = threading.Event()

    def hold():
        held = []
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", service.port), 15))
                held[-1].sendall(GET[:-2])
            if len(held) > 200:
                held.pop(0).close()
            time.sleep(0.005)
        for connection in held:
            connection.close()

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        time.sleep(1)
        for _ in range(20):
            health(service)
    finally:
        over.set()
        holding.join()


@pytest.mark.parametrize(
    ("addresses", "admitted"),
    [
        ([("192.0.2.1", 1), ("192.0.2.1", 2)], 1),
        ([("192.0.2.1", 1), ("192.0.2.2", 1)], 2),
        ([("2001:db8::1", 1, 0, 0), ("2001:db8::2", 1, 0, 0)], 1),  # one client owns a whole /64
        ([("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0)], 2),
        ([("::ffff:192.0.2.1", 1, 0, 0), ("::ffff:192.0.2.2", 1, 0, 0)], 2),
        ([("::ffff:192.0.2.1", 1, 0, 0), ("192.0.2.1", 1)], 1),
        ([("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2)], 1),
        (["", ""], 2),  # a Unix socket
    ],
)
def test_what_an_address_counts_as(addresses, admitted):
    connections = Connections(per_client=1)
    found = [connections.admit(None, address) for address in addresses[:1]]
    connections.mark_working(found[0])
    found.append(connections.admit(None, addresses[1]))
    assert sum(connection is not None for connection in found) == admitted
    for connection in found:
        if connection is not None:
            connections.remove(connection)
    assert connections.admit(None, addresses[0]) is not None


def test_an_evicted_connection_no_longer_counts_and_is_not_evicted_again():
    """Its greenlet may still be closing it."""
    connections = Connections(per_client=1)
    with contextlib.ExitStack() as opened:
        sockets = [one for _ in range(2) for one in socket.socketpair()]
        for one in sockets:
            opened.enter_context(one)
        first, second = [connections.admit(one, ("192.0.2.1", 1)) for one in sockets[:2]]
        assert first.is_evicted
        connections.mark_waiting(first)
        third = connections.admit(sockets[2], ("192.0.2.1", 1))
        assert (second.is_evicted, third.is_evicted) == (True, False)
        for connection in (first, second):
            connections.mark_working(connection)
            connections.remove(connection)
        connections.mark_working(third)
        assert connections.admit(sockets[3], ("192.0.2.1", 1)) is None
