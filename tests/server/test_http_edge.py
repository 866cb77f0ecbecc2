"""What only a real server shows: chunked bodies, broken HTTP, forged proxy headers, keep-alive."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from pymongo import MongoClient

from authservice.web.problems import SECURITY_HEADERS
from tests.conftest import PASSWORD, RUN, SECRET, bearer
from tests.server.processes import pass_guard, sign_up
from tests.server.raw import Answer, Connection, exchange
from tests.service import Service

LIMIT = 16_384
HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
LAST_GET = GET + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def service(
    uri_of: Callable[[str], str],
    database_client: MongoClient[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """One service for the whole module: no request may harm it."""
    name = f"test_{RUN}_edge"
    service = Service(
        tmp_path_factory.mktemp("edge") / "log",
        {
            "FLASK_MONGO_URI": uri_of(name),
            "FLASK_JWT_SECRET_KEY": SECRET,
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
            "WEB_CONCURRENCY": "1",
        },
    )
    try:
        service.wait_until_ready("/readyz")
        yield service
        assert "Traceback" not in service.output()
        assert '"event": "crash"' not in service.output()
    finally:
        service.stop()
        database_client.drop_database(name)


@pytest.fixture
def email() -> str:
    """An e-mail that no other test uses."""
    return f"{uuid.uuid4().hex}@example.com"


def sign_up_body(email: str, size: int = 0) -> bytes:
    """JSON padded with spaces to ``size`` bytes: if it is truncated, it is still a valid sign-up."""
    return json.dumps({"email": email, "password": PASSWORD}).encode().ljust(size)


def chunks(body: bytes, size: int = 1_000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post_users(*headers: bytes) -> bytes:
    return b"POST /users HTTP/1.1\r\n" + HOST + JSON + b"".join(headers) + b"\r\n"


def statuses(received: bytes) -> list[int]:
    """The statuses of several responses, which may arrive in one packet."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code", "requestId"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:authservice:problem:{code}"
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def assert_nobody_signed_up(service: Service, email: str) -> None:
    answer = requests.post(f"{service.url}/auth", json={"email": email, "password": PASSWORD}, timeout=15)
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_invalid")


def test_a_chunked_body_is_read_completely(service, email):
    for size in (LIMIT, 7):
        answer = exchange(service.port, post_users(CHUNKED) + chunks(sign_up_body(f"{size}.{email}", LIMIT), size))
        assert (answer.status, answer.json()["email"]) == (201, f"{size}.{email}")


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 1_000, 1_000_000])
def test_a_chunked_body_over_the_limit_is_refused_and_not_truncated(service, email, size):
    answer = exchange(service.port, post_users(CHUNKED) + chunks(sign_up_body(email, size)))
    assert_problem(answer, 413, "body_too_large")
    assert_nobody_signed_up(service, email)


def test_a_body_at_the_limit_is_read_and_one_over_it_is_refused(service, email):
    whole = sign_up_body(email, LIMIT)
    over = exchange(service.port, post_users(b"Content-Length: %d\r\n" % (LIMIT + 1)) + whole + b" ")
    assert_problem(over, 413, "body_too_large")
    assert_nobody_signed_up(service, email)
    within = exchange(service.port, post_users(b"Content-Length: %d\r\n" % LIMIT) + whole)
    assert (within.status, within.json()["email"]) == (201, email)


def test_a_length_over_the_limit_is_refused_before_the_body_arrives(service):
    answer = exchange(service.port, post_users(b"Content-Length: 9999999999\r\n"))
    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    "broken",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}}}\r\n0\r\n\r\n",
        b"2;\x01\r\n{}\r\n0\r\n\r\n",
        b"f" * 9_000,
    ],
)
def test_a_broken_chunk_is_a_400(service, broken):
    answer = exchange(service.port, post_users(CHUNKED) + broken)
    assert_problem(answer, 400, "body_malformed")


@pytest.mark.parametrize(
    "cut",
    [b"", b"4", b"40\r\n", b"40\r\n{", b"2\r\n{}", b"2\r\n{}\r\n", b"2\r\n{}\r\n0\r\n"],
)
def test_a_chunked_body_that_ends_early_is_a_400(service, cut):
    answer = exchange(service.port, post_users(CHUNKED) + cut, end=True)
    assert_problem(answer, 400, "body_malformed")


@pytest.mark.parametrize("part", [0, 1, 20, -1])
def test_a_body_of_known_length_that_ends_early_is_a_400(service, email, part):
    whole = sign_up_body(email) + b" "
    answer = exchange(service.port, post_users(b"Content-Length: %d\r\n" % len(whole)) + whole[:part], end=True)
    assert_problem(answer, 400, "body_malformed")
    assert_nobody_signed_up(service, email)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GARBAGE\r\n\r\n", 400, "request_malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "request_malformed"),
        (b"GET /healthz\r\n\r\n", 400, "request_malformed"),
        (b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n", 400, "request_malformed"),
        (b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "request_malformed"),
        (b"G{}T /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "request_malformed"),
        (b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "request_malformed"),
        (GET + b"no colon\r\n\r\n", 400, "request_malformed"),
        (GET + b"Na me: x\r\n\r\n", 400, "request_malformed"),
        (GET + b"Name: x\x00y\r\n\r\n", 400, "request_malformed"),
        (GET + b"Name: x\r\n folded\r\n\r\n", 400, "request_malformed"),
        (GET + b"Content-Length: -1\r\n\r\n", 400, "request_malformed"),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "request_malformed"),
        (GET + CHUNKED + b"Content-Length: 2\r\n\r\n", 400, "request_malformed"),
        (GET + b"Transfer-Encoding: gzip\r\n\r\n", 400, "request_malformed"),
        (GET + b"Expect: the-unexpected\r\n\r\n", 400, "request_malformed"),
        (b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri_too_long"),
        (GET + b"Name: " + b"x" * 9_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (GET + b"Name: x\r\n" * 101 + b"\r\n", 431, "headers_too_large"),
        (GET + (b"Name: " + b"x" * 992 + b"\r\n") * 33 + b"\r\n", 431, "headers_too_large"),
        (GET + (b"Name: " + b"x" * 992 + b"\r\n") * 33, 431, "headers_too_large"),  # without an end
        (b"GET /" + b"x" * 5_000, 414, "uri_too_long"),
        (GET + b"Name: x\n\n", 400, "request_malformed"),
        (b"GET /healthz HTTP/1.1\n\n", 400, "request_malformed"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "request_malformed"),
        (b"GET /healthz HTTP/1.1\r\nHos: x\r\n\r\n", 400, "request_malformed"),
        (GET + HOST + b"\r\n", 400, "request_malformed"),
    ],
)
def test_what_gunicorn_refuses_is_answered_with_problem_json(service, sent, status, code):
    with Connection(service.port) as connection:
        connection.send(sent)
        answer = connection.answer()
        assert connection.is_closed()
    assert_problem(answer, status, code)
    assert answer.headers["connection"] == "close"
    assert SECURITY_HEADERS.items() <= {(name.title(), value) for name, value in answer.headers.items()}
    assert f'"requestId": "{answer.headers["x-request-id"]}"' in service.output()


def test_a_head_of_32_kib_is_read_and_one_byte_more_is_refused(service):
    field = b"Name: " + b"x" * 992 + b"\r\n"
    head = GET + field * 32
    for size, status in [(32_768, 200), (32_769, 431)]:
        last = b"Name: " + b"x" * (size - len(head) - 10) + b"\r\n\r\n"
        assert len(head + last) == size
        assert exchange(service.port, head + last).status == status


def test_a_request_that_arrives_byte_by_byte_is_read(service, email):
    body = sign_up_body(email)
    with Connection(service.port) as connection:
        for byte in post_users(b"Content-Length: %d\r\n" % len(body)) + body + LAST_GET:
            connection.send(bytes([byte]))
            time.sleep(0.001)
        assert statuses(connection.everything()) == [201, 200]


def test_pipelined_requests_are_answered_in_order(service, email):
    bodies = [sign_up_body(f"{number}.{email}", 9_000) for number in range(4)]
    known = [post_users(b"Content-Length: %d\r\n" % len(body)) + body for body in bodies[:2]]
    chunked = [post_users(CHUNKED) + chunks(body) for body in bodies[2:]]
    with Connection(service.port) as connection:
        connection.send(b"".join([GET + b"\r\n", *known, *chunked, b"\r\n" + LAST_GET]))
        assert statuses(connection.everything()) == [200, 201, 201, 201, 201, 200]


def test_expect_100_continue_is_answered(service, email):
    body = sign_up_body(email)
    with Connection(service.port) as connection:
        connection.send(post_users(b"Content-Length: %d\r\nExpect: 100-continue\r\n" % len(body)))
        assert connection.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(body)
        assert connection.answer().status == 201


@pytest.mark.parametrize("broken", [b"zz\r\n", b"2\r\n{}}}\r\n0\r\n\r\n", b"0\r\nHost: x\r\n\r\n"])
def test_a_broken_body_that_no_route_reads_gets_one_response(service, broken):
    with Connection(service.port) as connection:
        connection.send(b"POST /nothing HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + broken)
        received = connection.everything()
    assert received.startswith(b"HTTP/1.1 404 ")
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("body", [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 9\r\n\r\n{}"])
def test_the_response_to_an_incomplete_body_closes_the_connection(service, body):
    with Connection(service.port) as connection:
        connection.send(post_users().removesuffix(b"\r\n") + body)
        connection.end()
        answer = connection.answer()
        assert_problem(answer, 400, "body_malformed")
        assert connection.is_closed()
    if b"chunked" in body:
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "options",
    [
        b"Connection: close\r\n",
        b"Connection: close, x\r\n",
        b"Connection: x ,\tClose\r\n",
        b"Connection: keep-alive, close\r\n",
        b"Connection: keep-alive\r\nConnection: close\r\n",
        b"Connection: x\r\nConnection: close\r\n",
    ],
)
def test_close_among_other_connection_options_closes_the_connection(service, options):
    with Connection(service.port) as connection:
        connection.send(GET + options + b"\r\n")
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert connection.is_closed()


@pytest.mark.parametrize("options", [b"", b"Connection: closed\r\n", b"Connection: x, y\r\n", b"Connection:\r\n"])
def test_a_connection_without_close_is_kept(service, options):
    with Connection(service.port) as connection:
        for _ in range(2):
            connection.send(GET + options + b"\r\n")
            answer = connection.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


def test_keep_alive_among_other_connection_options_keeps_an_http_1_0_connection(service):
    with Connection(service.port) as connection:
        for _ in range(2):
            connection.send(b"GET /healthz HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n")
            assert connection.answer().headers["connection"] == "keep-alive"
        connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert connection.answer().headers["connection"] == "close"
        assert connection.is_closed()


def test_a_host_may_be_empty(service):
    assert exchange(service.port, b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n").status == 200


def test_a_client_that_is_still_sending_gets_its_refusal_and_no_reset(service):
    with Connection(service.port) as connection:
        connection.send(GET + b"Name: " + b"x" * 9_000 + b"\r\n\r\n" + b"y" * 200_000)
        assert_problem(connection.answer(), 431, "headers_too_large")
        assert connection.is_closed()  # and not reset: a reset loses the response on some systems


def test_no_log_line_repeats_what_a_client_sent(service):
    answer = exchange(service.port, GET + b"Authorization Bearer of-somebody\r\n\r\n")
    assert_problem(answer, 400, "request_malformed")
    assert "of-somebody" not in service.output()


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (b"BREW /users HTTP/1.1", 405, "method_not_allowed"),
        (b"TRACE /users/me HTTP/1.1", 405, "method_not_allowed"),
        (b"GET /%ff%00%zz HTTP/1.1", 404, "not_found"),
        (b"GET /../../etc/passwd HTTP/1.1", 404, "not_found"),
        (b"GET /users/me?x=%ff%00 HTTP/1.1", 401, "token_missing"),
        (b"GET http://other.example/nothing HTTP/1.1", 404, "not_found"),
    ],
)
def test_unusual_but_valid_requests_reach_the_service(service, request_line, status, code):
    assert_problem(exchange(service.port, request_line + b"\r\n" + HOST + b"\r\n"), status, code)


@pytest.mark.parametrize("shape", ["x" * 7_000, f"{'x' * 2_333}.{'x' * 2_333}.{'x' * 2_333}", "." * 7_000])
def test_a_token_of_7_kilobytes_is_a_401(service, shape):
    answer = requests.get(f"{service.url}/users/test", headers=bearer(shape), timeout=15)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Host": "evil.example.com",
    "X-Forwarded-Prefix": "/prefix",
    "Forwarded": "for=203.0.113.9;proto=https",
    "SCRIPT_NAME": "/users",
    "SCRIPT-NAME": "/users",
    "PATH_INFO": "/nothing",
    "PATH-INFO": "/nothing",
    "REMOTE_ADDR": "203.0.113.9",
    "REMOTE-USER": "root",
}


def request_line_of(service: Service, request_id: str) -> dict[str, Any]:
    lines = [line for line in service.output().splitlines() if line.startswith("{") and request_id in line]
    [line] = [json.loads(line) for line in lines if json.loads(line)["event"] == "request"]
    found: dict[str, Any] = line
    return found


@pytest.mark.parametrize("name", FORGED)
def test_forged_proxy_headers_have_no_effect(service, email, name):
    token = sign_up(service, email)
    plain = requests.get(f"{service.url}/users/test", headers=bearer(token), timeout=15)
    forged = requests.get(f"{service.url}/users/test", headers={**bearer(token), name: FORGED[name]}, timeout=15)
    assert (forged.status_code, forged.json()) == (plain.status_code, plain.json()) == (200, {"message": "You did it!"})
    line = request_line_of(service, forged.headers["X-Request-Id"])
    assert (line["ip"], line["route"]) == ("127.0.0.1", "/users/test")
    # Only the redirect would show host and prefix, and only this header shows the scheme.
    header = f"{name}: {FORGED[name]}\r\n".encode()
    moved = exchange(service.port, b"GET /app HTTP/1.1\r\n" + HOST + header + b"\r\n")
    assert (moved.status, moved.headers["location"]) == (308, "app/")
    assert "strict-transport-security" not in moved.headers


def test_the_log_has_the_address_that_a_trusted_proxy_forwards(serve):
    service = serve(workers=1, FLASK_TRUSTED_PROXIES="1")
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "SCRIPT_NAME": "/users"}
    answer = requests.get(f"{service.url}/healthz", headers=headers, timeout=15)
    assert answer.status_code == 200
    line = request_line_of(service, answer.headers["X-Request-Id"])
    assert (line["ip"], line["route"]) == (
        "203.0.113.9",
        "/healthz",
    )  # the address that the proxy saw, not the one that it was sent
    secure = exchange(service.port, b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Forwarded-Proto: https\r\n\r\n")
    assert "strict-transport-security" in secure.headers


def test_a_connection_carries_several_requests(service, email):
    sign_up(service, email)
    with Connection(service.port) as connection:
        for _ in range(3):
            connection.send(GET + b"\r\n")
            assert connection.answer().status == 200
            connection.send(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
            assert_problem(connection.answer(), 404, "not_found")
            body = sign_up_body(email)
            connection.send(post_users(b"Content-Length: %d\r\n" % len(body)) + body)
            assert_problem(connection.answer(), 409, "email_taken")


def test_an_unread_body_is_not_parsed_as_the_next_request(service):
    smuggled = GET + b"\r\n"
    with Connection(service.port) as connection:
        connection.send(b"POST /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled)
        assert_problem(connection.answer(), 404, "not_found")
        connection.send(b"GET /users/me HTTP/1.1\r\n" + HOST + b"\r\n")
        assert_problem(connection.answer(), 401, "token_missing")


def test_an_http_1_0_client_is_served(service):
    answer = exchange(service.port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_the_service_still_works_after_all_of_these_requests(service, email):
    assert pass_guard(service, sign_up(service, email)).status_code == 200
