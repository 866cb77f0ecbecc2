"""The worker sends any WSGI response as valid HTTP, with head and body in one packet."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.server import pieces
from tests.server.processes import wait_until
from tests.server.raw import Connection, exchange

HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def service(serve_module):
    """One for the whole module: no response may harm it."""
    return serve_module(workers=1, app="tests.server.pieces:create()")


def get(path, method=b"GET", version=b"1.1"):
    return method + b" " + path + b" HTTP/" + version + b"\r\n" + HOST + b"\r\n"


def test_a_connection_carries_several_responses(service):
    with Connection(service.port) as connection:
        for path, body in [
            (b"/length", pieces.WHOLE),
            (b"/chunks", pieces.WHOLE),
            (b"/empty", b""),
            (b"/file", pieces.FILE),
            (b"/longer-than-said", pieces.WHOLE[:-5]),
            (b"/chunks", pieces.WHOLE),
        ]:
            connection.send(get(path))
            answer = connection.answer()
            assert (answer.status, answer.body) == (204 if path == b"/empty" else 200, body)
            assert answer.headers.get("transfer-encoding") == ("chunked" if path == b"/chunks" else None)
            assert answer.headers["connection"] == "keep-alive"
            sent = parsedate_to_datetime(answer.headers["date"])
            assert abs(sent - datetime.now(UTC)) < timedelta(seconds=60)


def test_a_response_to_head_has_no_body(service):
    with Connection(service.port) as connection:
        for path in (b"/length", b"/chunks", b"/empty", b"/file"):
            connection.send(get(path, b"HEAD"))
            assert connection.head().startswith(b"HTTP/1.1 20")
        connection.send(get(b"/length"))
        assert connection.answer().body == pieces.WHOLE


def test_an_http_1_0_client_gets_no_chunks(service):
    with Connection(service.port) as connection:
        connection.send(get(b"/chunks", version=b"1.0"))
        answer = connection.answer()
        assert (answer.body, answer.headers["connection"]) == (pieces.WHOLE, "close")
        assert "transfer-encoding" not in answer.headers
        assert connection.is_closed()


def test_a_crash_before_the_first_byte_is_a_500(service):
    answer = exchange(service.port, get(b"/crash"))
    assert (answer.status, answer.json()["code"]) == (500, "internal_error")
    assert "before the first piece" not in service.output()


def test_sys_exit_in_a_request_does_not_end_the_worker(service):
    before = service.workers()
    answer = exchange(service.port, get(b"/exit"))
    assert (answer.status, answer.json()["code"]) == (500, "internal_error")
    assert exchange(service.port, get(b"/healthz")).status == 200
    assert service.workers() == before


@pytest.mark.parametrize("path", [b"/half", b"/half-in-chunks", b"/close", b"/half-and-close"])
def test_nothing_follows_a_response_that_crashes(service, path):
    before = len(service.output())
    with Connection(service.port) as connection:
        connection.send(get(path))
        received = connection.everything()
    logged = service.output()[before:]
    assert received.count(b"HTTP/1.1") == 1
    assert b"three" in received
    assert not received.endswith(b"0\r\n\r\n")  # otherwise the client would treat it as complete
    assert logged.count('"event": "crash"') == 1
    assert '"error": "RuntimeError"' in logged
    assert "behind" not in logged


def test_head_and_body_are_one_packet(service):
    with Connection(service.port) as connection:
        for _ in range(50):
            connection.send(get(b"/length"))
            packet = connection.packet()
            assert packet.startswith(b"HTTP/1.1 200 OK\r\n")
            assert pieces.PIECES[0] in packet
            while not packet.endswith(pieces.PIECES[-1]):
                packet += connection.packet()


def test_gunicorn_options_for_requests_apply(serve):
    service = serve(workers=1, GUNICORN_CMD_ARGS="--max-requests 5 --access-logfile -")
    before = service.workers()
    statuses = [requests.get(f"{service.url}/healthz", timeout=15).status_code for _ in range(20)]
    assert statuses == [200] * 20
    wait_until(lambda: service.workers() and not set(before) & set(service.workers()))
    assert '"GET /healthz HTTP/1.1" 200' in service.output()
