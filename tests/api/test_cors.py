"""Browsers may call from the listed origins and from no other."""

import re

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD

DEFAULT = [
    "http://localhost:8100",
    "http://localhost:4200",
    "http://localhost:5173",
    "http://localhost",
    "https://localhost",
    "capacitor://localhost",
    "ionic://localhost",
]
STRANGERS = [
    "null",
    "*",
    "http://localhost:81000",
    "http://localhost:8101",
    "http://localhost:42000",
    "https://localhost:8100",
    "http://localhost.evil.example",
    "http://localhost:8100.evil.example",
    "https://evil-localhost",
    "https://evil.example",
    "http://evil.example/http://localhost",
    "http://localhost@evil.example",
    "http://LOCALHOST.evil.example",
    "http://localhostx",
    "xhttp://localhost",
    "http://localhos",
    "http://127.0.0.1:8100",
    "http://[::1]:8100",
    "file://",
    "capacitor://localhost.evil",
    "ionic://localhost:80",
    "http://localhost ",
    "http://localhost/",
]
OWN = [
    "https://app.example.com",
    "http://[::1]:8100",
    "https://a-b.example.com:8443",
]
OWN_STRANGERS = [
    *DEFAULT,
    "https://appxexample.com",
    "https://app.example.com.evil.example",
    "https://app.example.com:443",
    "http://app.example.com",
    "https://evil.app.example.com",
    "http://1:8100",
    "http://::8100",
    "http://1:81001",
    "http://[::1]:81001",
    "null",
]


def routes(app):
    """A path of each rule: of a list of file names, the first."""
    return [
        (re.sub(r"<any\(([^,)]+).*?\):\w+>", r"\1", rule.rule), sorted(rule.methods - {"HEAD", "OPTIONS"})[0])
        for rule in app.url_map.iter_rules()
    ]


def assert_allowed(answer, origin):
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [origin]
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]


def assert_not_allowed(answer):
    assert [name for name, _ in answer.headers if name.startswith("Access-Control-")] == []


@pytest.mark.parametrize("origin", DEFAULT)
def test_ionic_and_capacitor_may_call_out_of_the_box(client, alice, origin):
    headers = {"Origin": origin, "Authorization": f"Bearer {alice}"}
    passed = client.get("/users/test", headers=headers)
    assert_ok(passed)
    signed_in = client.post("/auth", json={"email": ALICE, "password": PASSWORD}, headers={"Origin": origin})
    assert_ok(signed_in)
    refused = client.get("/users/test", headers={"Origin": origin})
    assert_problem(refused, 401, "token_missing")
    lost = client.get("/nowhere", headers={"Origin": origin})
    assert_problem(lost, 404, "not_found")
    for answer in (passed, signed_in, refused, lost):
        assert_allowed(answer, origin)
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"WWW-Authenticate", "Retry-After", "Location", "X-Request-Id"} == exposed


@pytest.mark.parametrize("origin", STRANGERS)
def test_another_origin_is_not_allowed(client, alice, origin):
    answer = client.get("/users/test", headers={"Origin": origin, "Authorization": f"Bearer {alice}"})
    assert_ok(answer)  # the browser hides the answer from the page
    assert_not_allowed(answer)
    preflight = client.options("/users/test", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 200
    assert_not_allowed(preflight)


def test_without_an_origin_nothing_is_said(client):
    assert_not_allowed(client.get("/healthz"))


@pytest.mark.parametrize("origin", DEFAULT)
def test_every_route_answers_the_preflight(app, client, origin):
    for path, method in routes(app):
        preflight = client.options(
            path,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert preflight.status_code == 200
        assert_allowed(preflight, origin)
        assert method in preflight.headers["Access-Control-Allow-Methods"].split(", ")
        allowed_headers = preflight.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert {"authorization", "content-type"} <= set(allowed_headers)


class TestAListOfOnesOwn:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "CORS_ORIGINS": " , ".join(OWN)}

    @pytest.mark.parametrize("origin", OWN)
    def test_its_origins_are_allowed(self, client, origin):
        answer = client.get("/healthz", headers={"Origin": origin})
        assert_ok(answer)
        assert_allowed(answer, origin)

    @pytest.mark.parametrize("origin", OWN_STRANGERS)
    def test_no_other_is(self, client, origin):
        answer = client.get("/healthz", headers={"Origin": origin})
        assert_ok(answer)
        assert_not_allowed(answer)


class TestAnEmptyList:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "CORS_ORIGINS": ""}

    @pytest.mark.parametrize("origin", [*DEFAULT, "null", "*"])
    def test_allows_nobody(self, client, origin):
        answer = client.get("/healthz", headers={"Origin": origin})
        assert_ok(answer)
        assert_not_allowed(answer)
