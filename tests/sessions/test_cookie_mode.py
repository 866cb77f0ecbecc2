"""Cookie mode: the refresh token travels in an HttpOnly cookie and nowhere else."""

import pytest
from flask.testing import FlaskClient

from tests.conftest import ALICE, PASSWORD, bearer

COOKIE = "__Host-refresh"
SCRIPT = {"X-Requested-With": "authservice"}
HTTPS = "https://localhost"


@pytest.fixture
def browser(app, alice) -> FlaskClient:
    """Signed in as Alice by cookie."""
    browser = app.test_client()
    answer = browser.post("/auth", json={"email": ALICE, "password": PASSWORD, "cookie": True}, base_url=HTTPS)
    assert answer.status_code == 200
    browser.signed_in = answer
    return browser


def test_the_refresh_token_is_in_the_cookie_and_not_in_the_answer(browser):
    assert browser.signed_in.get_json().keys() == {"token", "expiresIn", "tokenType", "refreshExpiresIn", "user"}
    cookie = browser.signed_in.headers["Set-Cookie"]
    name, _, attributes = cookie.partition("=")
    parts = {part.strip() for part in attributes.split(";")[1:]}
    assert name == COOKIE
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= parts
    assert not any(part.startswith("Domain") for part in parts)
    assert "Max-Age=2592000" in parts


def test_a_refresh_by_cookie_rotates_the_cookie(browser):
    before = browser.get_cookie(COOKIE, "localhost").value
    answer = browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS)
    assert answer.status_code == 200
    assert "refreshToken" not in answer.get_json()
    assert browser.get_cookie(COOKIE, "localhost").value != before
    passed = browser.get("/users/test", headers=bearer(answer.get_json()["token"]), base_url=HTTPS)
    assert passed.status_code == 200


@pytest.mark.parametrize("body", [{"json": {}}, {"data": b""}, {"data": b"", "content_type": "application/json"}])
def test_a_refresh_by_cookie_needs_no_body(browser, body):
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS, **body).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**SCRIPT, "Sec-Fetch-Site": "cross-site"},
        {**SCRIPT, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    ],
)
def test_another_site_cannot_use_the_cookie(browser, method, headers):
    path = {"POST": "/auth/refresh", "DELETE": "/auth"}[method]
    answer = browser.open(path, method=method, headers=headers, base_url=HTTPS)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "cross_site_refused")
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS).status_code == 200  # it is still good


def test_a_listed_origin_may_use_the_cookie_from_another_site(browser):
    headers = {**SCRIPT, "Sec-Fetch-Site": "cross-site", "Origin": "capacitor://localhost"}
    assert browser.post("/auth/refresh", headers=headers, base_url=HTTPS).status_code == 200


def test_signing_out_by_cookie_ends_the_session_and_removes_the_cookie(browser):
    token = browser.signed_in.get_json()["token"]
    stolen = browser.get_cookie(COOKIE, "localhost").value
    answer = browser.delete("/auth", headers=SCRIPT, base_url=HTTPS)
    assert (answer.status_code, answer.data) == (204, b"")
    assert browser.get_cookie(COOKIE, "localhost") is None
    assert browser.get("/users/test", headers=bearer(token), base_url=HTTPS).status_code == 401
    browser.set_cookie(COOKIE, stolen, domain="localhost", secure=True)
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS).status_code == 401


def test_signing_out_by_cookie_does_not_mind_a_proxys_basic_authentication(browser):
    headers = {"Authorization": "Basic YTpi"}
    refused = browser.delete("/auth", headers=headers, base_url=HTTPS)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "cross_site_refused")
    assert browser.delete("/auth", headers={**SCRIPT, **headers}, base_url=HTTPS).status_code == 204


@pytest.mark.parametrize("bearer_of", ["garbage", "another session"])
def test_signing_out_by_cookie_does_not_mind_a_bearer_token_beside_it(browser, alice, bearer_of):
    token = browser.signed_in.get_json()["token"]
    headers = {**SCRIPT, **bearer("garbage" if bearer_of == "garbage" else alice)}
    assert browser.delete("/auth", headers=headers, base_url=HTTPS).status_code == 204
    assert browser.get_cookie(COOKIE, "localhost") is None
    assert browser.get("/users/test", headers=bearer(token), base_url=HTTPS).status_code == 401
    assert browser.get("/users/test", headers=bearer(alice), base_url=HTTPS).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_cookie_that_is_good_for_nothing_leaves_the_browser(browser, method):
    path = {"POST": "/auth/refresh", "DELETE": "/auth"}[method]
    browser.set_cookie(COOKIE, "garbage", domain="localhost", secure=True)
    assert browser.open(path, method=method, headers=SCRIPT, base_url=HTTPS).status_code == 401
    assert browser.get_cookie(COOKIE, "localhost") is None


def test_an_access_token_is_never_read_from_a_cookie_or_the_query(client, alice):
    client.set_cookie("access_token_cookie", alice)
    client.set_cookie(COOKIE, alice)
    for path in ("/users/test", f"/users/test?jwt={alice}", f"/users/test?token={alice}&access_token={alice}"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")
