"""Cookie mode: the refresh token travels in an HttpOnly cookie and nowhere else."""

import pytest
from flask.testing import FlaskClient

from tests.conftest import ALICE, BOB, PASSWORD, bearer

COOKIE = "__Host-refresh"
SCRIPT = {"X-Requested-With": "authservice"}
HTTPS = "https://localhost"


@pytest.fixture
def browser(app, alice) -> FlaskClient:
    """A browser in which Alice has signed in by cookie."""
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
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS).status_code == 200  # it is still valid


def test_a_listed_origin_may_use_the_cookie_from_another_site(browser):
    headers = {**SCRIPT, "Sec-Fetch-Site": "cross-site", "Origin": "capacitor://localhost"}
    assert browser.post("/auth/refresh", headers=headers, base_url=HTTPS).status_code == 200


def cookie_of(browser):
    return browser.get_cookie(COOKIE, "localhost").value


def refreshes(client, refresh_token):
    return client.post("/auth/refresh", json={"refreshToken": refresh_token}).status_code == 200


def sign_in_again(browser, headers=SCRIPT, **more):
    body = {"email": ALICE, "password": PASSWORD, "cookie": True, **more}
    return browser.post("/auth", json=body, headers=headers, base_url=HTTPS)


def test_signing_in_again_by_cookie_ends_the_session_whose_cookie_is_replaced(browser, client, alice):
    token, replaced = browser.signed_in.get_json()["token"], cookie_of(browser)
    assert sign_in_again(browser).status_code == 200
    assert cookie_of(browser) != replaced
    assert client.get("/users/test", headers=bearer(token)).status_code == 401
    assert not refreshes(client, replaced)
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS).status_code == 200
    assert client.get("/users/test", headers=bearer(alice)).status_code == 200  # on another device


def test_somebody_else_who_signs_in_by_cookie_ends_the_session_as_well(browser, client):
    replaced = cookie_of(browser)
    assert client.post("/users", json={"email": BOB, "password": PASSWORD}).status_code == 201
    assert sign_in_again(browser, email=BOB).status_code == 200
    assert not refreshes(client, replaced)


@pytest.mark.parametrize(
    ("headers", "more", "status"),
    [
        ({}, {}, 200),  # a form on another site can send only this
        ({**SCRIPT, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, {}, 200),
        (SCRIPT, {"password": "not my password"}, 401),
        (SCRIPT, {"cookie": False}, 200),  # the cookie and its session stay
    ],
)
def test_the_session_of_the_cookie_goes_on(browser, client, headers, more, status):
    kept = cookie_of(browser)
    assert sign_in_again(browser, headers, **more).status_code == status
    assert refreshes(client, kept)


def test_a_cookie_that_is_good_for_nothing_keeps_nobody_from_signing_in(browser):
    for value in ("garbage", cookie_of(browser)[:-4] + "AAAA", browser.signed_in.get_json()["token"][:-1]):
        browser.set_cookie(COOKIE, value, domain="localhost", secure=True)
        assert sign_in_again(browser).status_code == 200


def test_a_new_password_puts_the_new_refresh_token_into_the_cookie(browser, client):
    token, old = browser.signed_in.get_json()["token"], cookie_of(browser)
    change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
    answer = browser.put("/users/me/password", json=change, headers={**SCRIPT, **bearer(token)}, base_url=HTTPS)
    assert answer.status_code == 200
    assert "refreshToken" not in answer.get_json()
    assert not refreshes(client, old)
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS).status_code == 200


def test_a_new_password_over_somebody_elses_cookie_ends_the_session_of_that(browser, client, alice):
    """Alice's tab is older than the cookie: Bob has signed in since."""
    assert client.post("/users", json={"email": BOB, "password": PASSWORD}).status_code == 201
    browser.delete_cookie(COOKIE)
    assert sign_in_again(browser, email=BOB).status_code == 200
    bobs = cookie_of(browser)
    change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
    answer = browser.put("/users/me/password", json=change, headers={**SCRIPT, **bearer(alice)}, base_url=HTTPS)
    assert answer.status_code == 200
    assert not refreshes(client, bobs)
    assert browser.post("/auth/refresh", headers=SCRIPT, base_url=HTTPS).get_json()["user"]["email"] == ALICE


def test_a_new_password_without_the_header_of_a_script_leaves_the_cookie_alone(browser):
    token, old = browser.signed_in.get_json()["token"], cookie_of(browser)
    change = {"currentPassword": PASSWORD, "newPassword": "an even longer secret"}
    answer = browser.put("/users/me/password", json=change, headers=bearer(token), base_url=HTTPS)
    assert answer.status_code == 200
    assert "refreshToken" in answer.get_json()
    assert cookie_of(browser) == old


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


@pytest.mark.parametrize("before", ["\x85", "\xa0", "\x1c", "\x1d", " \x85", "\x85 "], ids=repr)
def test_a_cookie_of_nearly_the_same_name_is_another(app, browser, before):
    """A sibling subdomain can set this cookie over http. Browsers refuse __Host- there, but this name differs.

    Werkzeug up to 3.1.8 strips the extra bytes.
    """
    client = app.test_client(use_cookies=False)
    name, value = COOKIE, cookie_of(browser)
    for planted, status in ((f"{before}{name}={value}", 401), (f"{name}={value}", 200)):
        answer = client.post("/auth/refresh", headers=SCRIPT, environ_overrides={"HTTP_COOKIE": planted})
        assert answer.status_code == status


def test_an_access_token_is_never_read_from_a_cookie_or_the_query(client, alice):
    client.set_cookie("access_token_cookie", alice)
    client.set_cookie(COOKIE, alice)
    for path in ("/users/test", f"/users/test?jwt={alice}", f"/users/test?token={alice}&access_token={alice}"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")
