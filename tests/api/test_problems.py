"""Every refusal is application/problem+json with a stable code and the headers of its status."""

import json
import re
import threading
from datetime import timedelta

import pytest

from authservice.store.users import User
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, PASSWORD, bearer, state_of
from tests.security.test_hashing_gate import hash_in
from tests.service import free_port

GOOD = {"email": ALICE, "password": PASSWORD}


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("POST", "/users/", {"json": GOOD}, 404, "not_found"),
        ("GET", "/users/%00", {}, 404, "not_found"),
        ("GET", "/..%2f..%2fetc/passwd", {}, 404, "not_found"),
        ("DELETE", "/users", {}, 405, "method_not_allowed"),
        ("POST", "/users", {"data": b"{", "content_type": "application/json"}, 400, "body_malformed"),
        ("POST", "/users", {"data": b"{}"}, 415, "media_type_unsupported"),
        ("POST", "/users", {"data": b" " * 16_385, "content_type": "application/json"}, 413, "body_too_large"),
        ("POST", "/auth", {"data": b"{", "content_type": "application/json"}, 400, "body_malformed"),
        ("POST", "/auth", {"data": b"{}"}, 415, "media_type_unsupported"),
        ("POST", "/auth", {"data": b" " * 16_385, "content_type": "application/json"}, 413, "body_too_large"),
        ("POST", "/auth", {"json": GOOD}, 401, "credentials_invalid"),
        ("GET", "/users/test", {}, 401, "token_missing"),
        ("GET", "/users/me", {}, 401, "token_missing"),
        ("GET", "/users/test", {"headers": bearer("x.y.z")}, 401, "token_invalid"),
        ("GET", "/users/me", {"headers": bearer("x.y.z")}, 401, "token_invalid"),
    ],
)
def test_a_refusal_has_its_status_and_code(client, method, path, more, status, code):
    assert_problem(client.open(path, method=method, **more), status, code)


@pytest.mark.parametrize("path", ["/users//me", "/auth//sessions", "/users/me/", "/app//"])
def test_no_path_is_redirected_to_another(client, path):
    answer = client.get(path, base_url="http://evil.example")
    assert_problem(answer, 404, "not_found")
    assert "Location" not in answer.headers


def test_a_body_that_does_not_fit_lists_its_errors(client):
    answer = client.post("/users", json={})
    assert_problem(answer, 422, "validation_failed", ("/email", "required"), ("/password", "required"))


def test_a_taken_email_is_a_conflict(client, alice):
    assert_problem(client.post("/users", json=GOOD), 409, "email_taken")


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/users", "GET", {"POST", "OPTIONS"}),
        ("/users", "PUT", {"POST", "OPTIONS"}),
        ("/auth", "GET", {"POST", "DELETE", "OPTIONS"}),
        ("/users/test", "POST", {"GET", "HEAD", "OPTIONS"}),
        ("/users/me", "PUT", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
        ("/healthz", "POST", {"GET", "HEAD", "OPTIONS"}),
        ("/readyz", "TRACE", {"GET", "HEAD", "OPTIONS"}),
        ("/openapi.json", "POST", {"GET", "HEAD", "OPTIONS"}),
        ("/users", "BREW", {"POST", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client, path, method, allowed):
    answer = client.open(path, method=method)
    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_a_full_gate_says_when_to_come_back(settings, request):
    settings |= {"BCRYPT_CONCURRENCY": 1, "BCRYPT_QUEUE": 0}
    app, client = request.getfixturevalue("app"), request.getfixturevalue("client")
    leave = threading.Event()
    occupied = threading.Event()

    def occupy() -> None:
        occupied.set()
        leave.wait(60)

    holder = threading.Thread(target=hash_in, args=(state_of(app).hasher.gate, occupy))
    holder.start()
    try:
        assert occupied.wait(60)
        for path in ("/users", "/auth"):
            assert_problem(client.post(path, json=GOOD), 503, "hashing_busy")
    finally:
        leave.set()
        holder.join()
    assert_ok(client.post("/users", json=GOOD), 201)


class TestWithoutADatabase:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "MONGO_URI": f"mongodb://127.0.0.1:{free_port()}/authexample", "MONGO_TIMEOUT_MS": 100}

    @pytest.mark.parametrize(
        ("method", "path", "more"),
        [("POST", "/users", {"json": GOOD}), ("POST", "/auth", {"json": GOOD}), ("GET", "/readyz", {})],
    )
    def test_an_absent_database_says_when_to_come_back(self, client, method, path, more):
        assert_problem(client.open(path, method=method, **more), 503, "database_unavailable")

    def test_a_good_token_is_refused_for_now_and_not_as_invalid(self, app, client):
        with app.app_context():
            from authservice.auth.pairs import new_session
            from authservice.security import tokens

            user = User("5c0dc18d349bc9479600c171", ALICE, (), created_at=None, is_disabled=False)
            token = tokens.issue_access(user, new_session(None, "", None), timedelta(hours=1))
        for path in ("/users/test", "/users/me"):
            assert_problem(client.get(path, headers=bearer(token)), 503, "database_unavailable")

    def test_what_needs_no_database_goes_on(self, client):
        assert assert_ok(client.get("/healthz")) == {"status": "ok"}
        assert_ok(client.get("/openapi.json"))
        assert_problem(client.get("/users/test"), 401, "token_missing")
        assert_problem(
            client.post("/users", json={**GOOD, "email": 1}), 422, "validation_failed", ("/email", "wrong_type")
        )


class TestACrash:
    SECRETS = ("hunter2-password", "mongodb://admin:pw@db.internal", ALICE)

    @pytest.fixture(params=["plain", "chained", "key error"])
    def crashing(self, app, request):
        @app.route("/crash")
        def crash():
            text = " ".join(self.SECRETS)
            if request.param == "plain":
                raise RuntimeError(text)
            if request.param == "key error":
                return {}[text]
            try:
                raise ValueError(text)
            except ValueError as error:
                raise RuntimeError(text) from error

        return app.test_client()

    def test_tells_nobody_what_the_exception_said(self, crashing):
        with captured_log() as log:
            answer = crashing.get("/crash", headers={"X-Request-Id": "quote-me"})
        problem = assert_problem(answer, 500, "internal_error")
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        crash = next(line for line in lines if line["event"] == "crash")
        assert (crash["requestId"], crash["clientRequestId"]) == (problem["requestId"], "quote-me")
        assert any("test_problems.py" in frame for frame in crash["trace"])
        for secret in self.SECRETS:
            assert secret not in answer.text
            assert secret not in log.getvalue()

    def test_is_the_end_of_one_request_alone(self, crashing):
        assert_problem(crashing.get("/crash"), 500, "internal_error")
        assert_ok(crashing.get("/healthz"))


class TestRequestIds:
    def ask(self, client, given):
        """Send a request; the id in the answer and the log line."""
        with captured_log() as log:
            answer = client.get("/nowhere", environ_overrides={"HTTP_X_REQUEST_ID": given})
        (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
        return assert_problem(answer, 404, "not_found")["requestId"], line

    @pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 64, "5c0dc18d-349b-c947-9600-c171aaaaaaaa"])
    def test_a_sensible_one_of_the_client_is_kept_beside_ours(self, client, given):
        ours, line = self.ask(client, given)
        assert re.fullmatch(r"[0-9a-f]{32}", ours)
        assert (line["requestId"], line["clientRequestId"]) == (ours, given)

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", '"', "\u00e9", "<script>", "{}", "a,b", "a\x85b"])
    def test_any_other_is_dropped(self, client, given):
        ours, line = self.ask(client, given)
        assert line["requestId"] == ours
        assert "clientRequestId" not in line

    def test_each_request_has_its_own(self, client):
        assert len({client.get("/healthz").headers["X-Request-Id"] for _ in range(20)}) == 20


def test_head_and_options_have_no_problem(client, alice):
    head = client.head("/users/test", headers=bearer(alice))
    assert (head.status_code, head.data) == (200, b"")
    refused = client.head("/users/test")
    assert (refused.status_code, refused.data) == (401, b"")
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="authservice"'
    options = client.options("/users/test")
    assert options.status_code == 200
