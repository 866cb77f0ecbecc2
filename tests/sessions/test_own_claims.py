"""CLAIMS: a function adds claims to every access token, and what it does wrong leaves nothing behind."""

import json
import sys
from datetime import UTC, datetime

import flask_jwt_extended
import jwt
import pytest

from authservice.security.tokens import TOKEN_MAX_BYTES
from authservice.web.guards import jwt_required
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, PASSWORD, bearer, sign_in

OURS = ["sub", "email", "emailVerified", "roles", "sid", "jti", "type", "iat", "exp", "fresh"]
RESERVED = [*OURS, "nbf", "iss", "aud", "auth_time", "amr", "acr"]
NEW_PASSWORD = "another horse battery"


class Function:
    """What the test's app calls; ``answer`` is returned, or raised."""

    def __init__(self):
        self.answer = {"plan": "gold", "limits": {"todos": 3}}

    def __call__(self, user):
        assert user.email == ALICE
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def claims_of():
    return Function()


@pytest.fixture
def app(make_app, claims_of):
    app = make_app(CLAIMS=claims_of)
    app.add_url_rule("/ours", "ours", jwt_required()(lambda: dict(flask_jwt_extended.get_jwt())))
    app.add_url_rule("/theirs", "theirs", flask_jwt_extended.jwt_required()(lambda: dict(flask_jwt_extended.get_jwt())))
    app.add_url_rule("/bad", "bad", jwt_required()(lambda: flask_jwt_extended.get_jwt().update(plan="forged") or {}))
    return app


@pytest.fixture
def pair(client, alice):
    return sign_in(client, ALICE)


def read(token):
    return jwt.decode(token, options={"verify_signature": False})


def change_password(client, token):
    body = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    return client.put("/users/me/password", json=body, headers=bearer(token))


def test_every_access_token_carries_them_and_no_refresh_token(client, claims_of, pair):
    refreshed = assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))
    changed = assert_ok(change_password(client, refreshed["token"]))
    for one in (pair, refreshed, changed):
        assert claims_of.answer.items() <= read(one["token"]).items()
        assert not claims_of.answer.keys() & read(one["refreshToken"]).keys()


@pytest.mark.parametrize("route", ["/ours", "/theirs"])
def test_a_guarded_route_sees_them(client, claims_of, pair, route):
    seen = assert_ok(client.get(route, headers=bearer(pair["token"])))
    assert seen == read(pair["token"])
    assert seen["plan"] == "gold"


def test_what_a_route_does_to_them_is_gone_with_the_request(client, pair):
    assert_ok(client.get("/bad", headers=bearer(pair["token"])))
    assert assert_ok(client.get("/ours", headers=bearer(pair["token"])))["plan"] == "gold"


def test_without_the_setting_a_guarded_route_sees_the_services_own(make_app):
    app = make_app()
    app.add_url_rule("/ours", "ours", jwt_required()(lambda: dict(flask_jwt_extended.get_jwt())))
    client = app.test_client()
    assert client.post("/users", json={"email": ALICE, "password": PASSWORD}).status_code == 201
    token = sign_in(client, ALICE)["token"]
    assert assert_ok(client.get("/ours", headers=bearer(token))) == read(token)


def bad(name, value):
    return pytest.param({"plan": "gold", name: value}, name, id=f"{name!a} {type(value).__name__}")


REFUSED = [
    *(bad(name, "forged-value") for name in RESERVED),
    bad("since", datetime(2026, 11, 28, tzinfo=UTC)),
    bad("score", float("nan")),
    bad("score", float("inf")),
    bad("name", "\ud800"),
    bad("\ud800", "text"),
    bad("raw", b"bytes"),
    bad("set", {"a"}),
    bad("twice", {1: "a", "1": "b"}),
    bad("number", 10**5_000),
    bad("big", "x" * TOKEN_MAX_BYTES),
]
DEEP: list[object] = []
DEEP.append(DEEP)


@pytest.mark.parametrize(
    ("answer", "named"),
    [*REFUSED, pytest.param({"deep": DEEP}, "deep", id="itself"), pytest.param({7: "x"}, "7", id="a number")],
)
def test_a_claim_that_may_not_be_is_named_in_the_log_and_nothing_is_written(
    client, claims_of, database, pair, answer, named
):
    before = database.users.find_one({"email": ALICE})
    claims_of.answer = answer
    with captured_log() as log:
        refused = [
            client.post("/auth", json={"email": ALICE, "password": PASSWORD}),
            client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}),
            change_password(client, pair["token"]),
        ]
    for one in refused:
        told = assert_problem(one, 500, "internal_error")
        assert named not in told["detail"].split()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    lines = [line for line in lines if line["event"] == "claims_refused"]
    assert [line["claim"] for line in lines] == [named] * 3
    assert "forged-value" not in log.getvalue()
    assert "xxxxxxxx" not in log.getvalue()
    assert database.users.find_one({"email": ALICE}) == before

    claims_of.answer = {}
    assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))  # it was not used up


@pytest.mark.parametrize("answer", [None, "text", [("plan", "gold")], 7])
def test_what_is_no_dict_is_refused(client, claims_of, database, pair, answer):
    claims_of.answer = answer
    with captured_log() as log:
        assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 500, "internal_error")
    assert type(answer).__name__ in log.getvalue()
    assert len(database.users.find_one()["sessions"]) == 2


@pytest.mark.parametrize("error", [KeyError("hunter2"), jwt.InvalidTokenError("hunter2"), ValueError("hunter2")])
def test_what_it_raises_is_logged_without_its_text(client, claims_of, database, pair, error, caplog):
    claims_of.answer = error
    with captured_log() as log:
        assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 500, "internal_error")
    assert type(error).__name__ in log.getvalue()
    assert "test_own_claims.py" in log.getvalue()  # the trace leads to the function
    assert "in __call__" in caplog.text  # a host may write the log in any format
    assert "hunter2" not in log.getvalue() + caplog.text
    assert len(database.users.find_one()["sessions"]) == 2


def test_the_longest_token_that_is_issued_passes_the_guard(client, claims_of, alice):
    def token_with(length):
        claims_of.answer = {"x": "y" * length}
        answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
        return answer.get_json().get("token")

    longest = max(length for length in range(2_600, 2_900) if token_with(length))
    token = token_with(longest)
    assert TOKEN_MAX_BYTES - 4 <= len(token) <= TOKEN_MAX_BYTES
    assert client.get("/users/test", headers=bearer(token)).status_code == 200


def test_the_variable_names_a_function_of_a_module(make_app, monkeypatch, tmp_path):
    (tmp_path / "hosts_claims.py").write_text(
        "class Plans:\n    @staticmethod\n    def of(user):\n        return {'plan': user.id}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FLASK_CLAIMS", "hosts_claims:Plans.of")
    client = make_app().test_client()
    created = client.post("/users", json={"email": ALICE, "password": PASSWORD}).get_json()
    assert read(sign_in(client, ALICE)["token"])["plan"] == created["id"]
    sys.modules.pop("hosts_claims")
