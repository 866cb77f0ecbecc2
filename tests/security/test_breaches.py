"""New passwords are looked up among the breached ones, and a list that answers badly or not at all stops nobody."""

import hashlib
import json
import re
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authservice import ConfigurationError, metrics
from authservice.config import load
from authservice.security import breaches
from authservice.security.breaches import BreachCheck
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in, state_of
from tests.service import free_port

BREACHED = "a password that leaked"
DIGEST = hashlib.sha1(BREACHED.encode()).hexdigest().upper()
OTHERS = [f"{number:035X}:{number + 1}" for number in range(800)]
DETAIL = "Choose another password: this one was published with the data of a breach, so attackers know it."
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def body_of(*lines):
    return "\r\n".join([*OTHERS, *lines]).encode()


def of_range(*lines):
    """A right answer."""
    return [HEAD + body_of(*lines)]


class RangeServer:
    """Answers each request with the pieces in ``answer``, ``pause`` seconds after each of them."""

    def __init__(self, tls=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        self.url = f"https://localhost:{port}/range" if tls else f"http://127.0.0.1:{port}/range"
        self.tls = tls
        self.requests = []
        self.answer = of_range(f"{DIGEST[5:]}:3")
        self.pause = 0.0
        self.is_closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.is_closed.set()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:  # the client does not believe the certificate
                return
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65_536)
                if not piece:
                    return
                received += piece
            self.requests.append(received)
            try:
                for piece in self.answer:
                    connection.sendall(piece)
                    if self.is_closed.wait(self.pause):
                        return
            except OSError:
                return


@pytest.fixture
def ranges():
    server = RangeServer()
    yield server
    server.close()


@pytest.fixture
def settings(settings, ranges):
    return {**settings, "BREACH_CHECK": ranges.url}


@pytest.fixture
def certificate(tmp_path):
    """Key and certificate of localhost, in one file, signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "localhost.pem").write_bytes(private + signed.public_bytes(pem))
    return tmp_path / "localhost.pem"


def sign_up(client, password=BREACHED, email=ALICE):
    return client.post("/users", json={"email": email, "password": password})


def counted(outcome):
    return metrics.breach_checks.labels(outcome)._value.get()


def test_a_breached_password_is_refused(client, database, ranges):
    before = counted("breached")
    answer = sign_up(client)
    problem = assert_problem(answer, 422, "validation_failed", ("/password", "password_breached"))
    assert problem["errors"][0]["detail"] == DETAIL
    assert database.users.count_documents({}) == 0
    assert counted("breached") == before + 1


def test_five_digits_of_the_hash_are_sent_and_no_more(client, ranges):
    sign_up(client)
    (request,) = ranges.requests
    first, *headers = request.decode().split("\r\n")
    assert first == f"GET /range/{DIGEST[:5]} HTTP/1.1"
    assert "Add-Padding: true" in headers
    assert any(re.fullmatch(r"User-Agent: authservice/[\d.]+\S*", header) for header in headers)
    assert DIGEST[5:].lower() not in request.decode().lower()
    assert BREACHED not in request.decode()
    assert ALICE not in request.decode()


@pytest.mark.parametrize("lines", [[], [f"{DIGEST[5:]}:0"], [f"{DIGEST[5:-1]}{'0' if DIGEST[-1] != '0' else '1'}:9"]])
def test_other_passwords_and_padding_are_accepted(client, ranges, lines):
    ranges.answer = of_range(*lines)
    before = counted("unknown")
    assert_ok(sign_up(client), 201)
    assert counted("unknown") == before + 1


def test_small_letters_and_single_line_ends_are_read(client, ranges):
    ranges.answer = [HEAD + body_of(f"{DIGEST[5:]}:3").lower().replace(b"\r\n", b"\n") + b"\n"]
    assert_problem(sign_up(client), 422, "validation_failed", ("/password", "password_breached"))


def test_a_change_and_the_command_line_refuse_it(app, client, ranges):
    assert_ok(sign_up(client, PASSWORD), 201)
    body = {"currentPassword": PASSWORD, "newPassword": BREACHED}
    answer = client.put("/users/me/password", json=body, headers=bearer(sign_in(client, ALICE)["token"]))
    assert_problem(answer, 422, "validation_failed", ("/newPassword", "password_breached"))
    for command in (["create", BOB], ["set-password", ALICE]):
        done = app.test_cli_runner().invoke(args=["users", *command, "--password-stdin"], input=f"{BREACHED}\n")
        assert (done.exit_code, done.output) == (2, f"Error: password: {DETAIL}\n")


def test_sign_up_refuses_it_alike_for_a_known_and_an_unknown_email(client, ranges):
    assert_ok(sign_up(client, PASSWORD), 201)
    for email in (ALICE, BOB):
        assert_problem(sign_up(client, email=email), 422, "validation_failed", ("/password", "password_breached"))
    assert len(ranges.requests) == 3


def test_who_has_one_signs_in_as_ever_and_nothing_is_asked(make_app, ranges):
    assert_ok(sign_up(make_app(BREACH_CHECK="off").test_client()), 201)
    sign_in(make_app().test_client(), ALICE, BREACHED)
    assert ranges.requests == []


def test_what_is_refused_anyway_is_not_asked(client, ranges):
    for password in ("iloveyou", "authservice1", "short"):
        assert sign_up(client, password).status_code == 422
    assert ranges.requests == []


def test_a_client_without_sign_ups_left_causes_no_look_up(make_app, ranges):
    client = make_app(LIMITS="on").test_client()
    answers = [sign_up(client, password=password).status_code for password in ["iloveyou", "short", *[BREACHED] * 8]]
    assert answers == [422] * 7 + [429] * 3  # the service's own checks cost nothing
    assert len(ranges.requests) == 5


def test_a_full_gate_gives_the_sign_up_back(make_app):
    client = make_app(LIMITS="on", BREACH_CHECK="off").test_client()
    gate = state_of(client.application).hasher.gate
    gate._places = 0
    for _ in range(7):
        assert_problem(sign_up(client), 503, "hashing_busy")
    gate._places = 10
    assert [sign_up(client).status_code for _ in range(6)] == [201] + [409] * 4 + [429]


def test_a_full_gate_makes_no_look_up_free(make_app, ranges):
    client = make_app(LIMITS="on").test_client()
    state_of(client.application).hasher.gate._places = 0
    ranges.answer = of_range()
    assert [sign_up(client).status_code for _ in range(8)] == [503] * 5 + [429] * 3
    assert len(ranges.requests) == 5


def test_a_slow_look_up_holds_no_hashing_place(make_app, ranges):
    client = make_app(LIMITS="on", BCRYPT_CONCURRENCY=1, BCRYPT_QUEUE=0).test_client()
    gate = state_of(client.application).hasher.gate
    ranges.answer, ranges.pause = [b""], 30
    waiting = threading.Thread(target=sign_up, args=(client,))
    waiting.start()
    while not ranges.requests:
        time.sleep(0.01)
    assert gate._held.total() == 0
    waiting.join()


def test_a_thief_without_the_password_causes_no_look_up(make_app, ranges):
    client = make_app(LIMITS="on").test_client()
    assert_ok(sign_up(client, PASSWORD), 201)
    headers = bearer(sign_in(client, ALICE)["token"])
    ranges.requests.clear()

    def change(new, current="a wrong one"):
        body = {"currentPassword": current, "newPassword": new}
        return client.put("/users/me/password", json=body, headers=headers).status_code

    assert [change(new) for new in ("iloveyou", *[BREACHED] * 8)] == [422] + [403] * 5 + [429] * 3
    assert ranges.requests == []


def test_the_user_may_try_any_number_of_new_passwords(make_app, ranges):
    client = make_app(LIMITS="on").test_client()
    assert_ok(sign_up(client, PASSWORD), 201)
    headers = bearer(sign_in(client, ALICE)["token"])
    body = {"currentPassword": PASSWORD, "newPassword": BREACHED}
    answers = [client.put("/users/me/password", json=body, headers=headers).status_code for _ in range(7)]
    assert answers == [422] * 7


WRONG = {
    "a server error": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "not found": b"HTTP/1.1 404 Not Found\r\n\r\n" + body_of(f"{DIGEST[5:]}:3"),
    "no user agent": b"HTTP/1.1 403 Forbidden\r\n\r\n",
    "a page": HEAD + b"<html><body>Sign in to the hotel's network</body></html>",
    "an endless count": HEAD + body_of(f"{DIGEST[5:]}:{'9' * 5_000}"),
    "a page in the middle": HEAD + body_of(f"{DIGEST[5:]}:3") + b"\r\n<html>",
    "nothing": HEAD,
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
    "no answer": b"",
    "a short body": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + body_of(f"{DIGEST[5:]}:3"),
    "a length that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "not ASCII": HEAD + body_of(f"{DIGEST[5:]}:3") + b"\r\n\xff\xfe:1",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n" + body_of(f"{DIGEST[5:]}:3"),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_stops_nobody(client, ranges, answer):
    ranges.answer = [answer]
    before = counted("failed")
    assert_ok(sign_up(client), 201)
    assert counted("failed") == before + 1


def test_an_endless_answer_is_not_read_to_its_end(client, ranges):
    ranges.answer = [HEAD, *[body_of(f"{DIGEST[5:]}:3") + b"\r\n"] * 100]
    before = counted("failed")
    assert_ok(sign_up(client), 201)
    assert counted("failed") == before + 1


def test_no_redirect_is_followed(client, ranges):
    ranges.answer = [f"HTTP/1.1 302 Found\r\nLocation: {ranges.url}/{DIGEST[:5]}\r\nContent-Length: 0\r\n\r\n".encode()]
    assert_ok(sign_up(client), 201)
    assert len(ranges.requests) == 1


def test_nobody_listening_stops_nobody(make_app):
    assert_ok(sign_up(make_app(BREACH_CHECK=f"http://127.0.0.1:{free_port()}").test_client()), 201)


@pytest.mark.parametrize(("is_trusted", "status", "requests_read"), [(True, 422, 1), (False, 201, 0)])
def test_the_certificate_is_checked(make_app, certificate, monkeypatch, is_trusted, status, requests_read):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = RangeServer(tls)
    assert sign_up(make_app(BREACH_CHECK=server.url).test_client()).status_code == status
    assert len(server.requests) == requests_read
    server.close()


DRIPS = {
    "hangs": [b""],
    "drips the headers": [b"HTTP/1.1 200 OK\r\n", *[b"X"] * 1_000],
    "drips the body": [HEAD, *[bytes([byte]) for byte in body_of(f"{DIGEST[5:]}:3")]],
    "hangs before the end": [HEAD + body_of(f"{DIGEST[5:]}:3"), b""],
}


@pytest.mark.parametrize("pieces", DRIPS.values(), ids=DRIPS)
def test_a_slow_answer_is_waited_for_a_second_in_all(client, ranges, pieces):
    ranges.answer = pieces
    ranges.pause = 30 if len(pieces) < 3 else 0.05
    before, start = counted("failed"), time.monotonic()
    assert_ok(sign_up(client), 201)
    assert 0.9 < time.monotonic() - start < 10  # 50 s and more, if each byte were waited for
    assert counted("failed") == before + 1


def test_a_list_that_hangs_holds_few_threads_and_gives_them_back(ranges, monkeypatch):
    monkeypatch.setattr(breaches, "ANSWER_SECONDS", 0.2)
    ranges.answer, ranges.pause = [b""], 30
    check = BreachCheck(ranges.url)
    crowd = [threading.Thread(target=check.is_breached, args=(BREACHED,)) for _ in range(20)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert len(ranges.requests) <= breaches._LOOKUPS_MAX
    ranges.answer, ranges.pause = of_range(f"{DIGEST[5:]}:3"), 0.0
    deadline = time.monotonic() + 20
    while not check.is_breached(BREACHED):
        assert time.monotonic() < deadline
        time.sleep(0.05)


ODD_URLS = {
    "a host with a space": "http://exa mple.com/range",
    "a label of 64 letters": f"http://{'a' * 64}.example/range",
    "an empty label": "http://range..example/range",
    "a path beyond ASCII": "http://127.0.0.1/bl\u00e4tter",
}


def assert_fails_open(check):
    """More often than there are places: each is given back."""
    before, is_breached = counted("failed"), set()
    with captured_log() as log:
        for _ in range(3 * breaches._LOOKUPS_MAX):
            is_breached.add(check.is_breached(BREACHED))
    assert is_breached == {False}
    assert counted("failed") == before + 3 * breaches._LOOKUPS_MAX
    assert '"busy"' not in log.getvalue()


@pytest.mark.parametrize("url", ODD_URLS.values(), ids=ODD_URLS)
def test_an_odd_url_stops_nobody_and_keeps_no_place(monkeypatch, url):
    monkeypatch.setattr(breaches, "LOG_PAUSE_SECONDS", 0)
    unhandled = []
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    assert_fails_open(BreachCheck(url))
    assert unhandled == []


def test_a_process_without_threads_left_keeps_no_place(ranges, monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(breaches, "LOG_PAUSE_SECONDS", 0)
    check = BreachCheck(ranges.url)
    with monkeypatch.context() as patch:
        patch.setattr(breaches._Lookup, "start", fail)
        assert_fails_open(check)
    assert check.is_breached(BREACHED)


@pytest.mark.parametrize(("pause", "lines"), [(breaches.LOG_PAUSE_SECONDS, 1), (0, 3)])
def test_failures_are_logged_once_a_minute_and_without_the_password(client, ranges, monkeypatch, pause, lines):
    monkeypatch.setattr(breaches, "LOG_PAUSE_SECONDS", pause)
    ranges.answer = [WRONG["a server error"]]
    with captured_log() as log:
        for number in range(3):
            assert_ok(sign_up(client, email=f"user{number}@example.com"), 201)
    written = log.getvalue()
    events = [json.loads(line) for line in written.splitlines()]
    failures = [(event["level"], event["reason"]) for event in events if event["event"] == "breach_check_failed"]
    assert failures == [("warning", "status 503")] * lines
    for secret in (BREACHED, DIGEST, DIGEST[5:], DIGEST[:5]):
        assert secret.lower() not in written.lower()


def test_other_requests_are_answered_meanwhile(serve, ranges):
    ranges.answer, ranges.pause = [b""], 30
    service = serve(workers=1, FLASK_BREACH_CHECK=ranges.url)
    answers = []
    body = {"email": ALICE, "password": BREACHED}
    waiting = threading.Thread(target=lambda: answers.append(requests.post(f"{service.url}/users", json=body)))
    waiting.start()
    while not ranges.requests:
        time.sleep(0.01)
    meanwhile = 0
    while not answers:
        assert requests.get(f"{service.url}/healthz", timeout=10).status_code == 200
        meanwhile += not answers
    waiting.join()
    assert answers[0].status_code == 201
    assert meanwhile >= 3
    assert '"breach_check_failed"' in service.output()
    assert '"timeout"' in service.output()


@pytest.mark.parametrize(
    "text",
    ["", "on", "api.pwnedpasswords.com", "ftp://example.com/range", "https://", "https://a:b@example.com/range",
     "https://example.com/range?mode=ntlm", "https://example.com/range#x", "https://example.com:99999/range",
     "https://example.com:65536/", "https://example.com:0/",
     "https://exa mple.com/range"],
)  # fmt: skip
def test_what_is_no_url_stops_the_start(text):
    with pytest.raises(ConfigurationError, match="FLASK_BREACH_CHECK must be off or a URL such as"):
        load({"FLASK_BREACH_CHECK": text})


@pytest.mark.parametrize(
    "text",
    [
        "off",
        "https://api.pwnedpasswords.com/range",
        "http://127.0.0.1:8080",
        "http://[::1]:8080/range/",
        "http://127.0.0.1:60787",
        "http://127.0.0.1:65535",
    ],
)
def test_off_and_urls_are_accepted(text):
    assert load({"FLASK_BREACH_CHECK": text})["BREACH_CHECK"] == text
