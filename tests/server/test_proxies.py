"""GET /auth/verify guards another service behind real proxies, with the blocks of docs/proxies.md."""

from http.cookies import SimpleCookie

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.server.proxies import PACKAGES, Backend, block, running

WHOLE_NEEDS_ADMIN = {  # as their comments say
    "nginx": {"/auth/verify;": "/auth/verify?role=admin;"},
    "caddy": {"/auth/verify?": "/auth/verify?role=admin"},
    "haproxy": {"# http-request deny unless": "http-request deny unless"},
}
RECENT = "/auth/verify?maxAge=600&acr=aal2"
WHOLE_NEEDS_A_RECENT_SIGN_IN = {
    "nginx": {"/auth/verify;": f"{RECENT};"},
    "caddy": {"/auth/verify?": RECENT},
    "haproxy": {'/auth/verify"': f'{RECENT}"'},
}
FORGED = [
    (name, "admin") for name in ("X-Auth-Roles", "x-auth-roles", "X_Auth_Roles", "X-Auth_Roles", "X_AUTH-ROLES")
] + [("X-Auth-User-Id", "forged"), ("X_Auth_User_Id", "forged"), ("X-Auth-Email", "forged"), ("X_Auth_Email", "forged")]
TRICKS = [
    "/private/admin",
    "/private/admin/",
    "/private/admin;/x",
    "/private/ADMIN/x",
    "/private/%61dmin/x",
    "/private/%2561dmin/x",
    "/private%5cadmin%5cx",
    "/private/x/..%2fadmin/x",
    "/private/x/%2e%2e/admin/x",
    "/private//admin/x",
    "/private/./admin/x",
    "/private/admin%2fx",
    "/_auth/../private/admin/x",
    "/admin?x=/private/",
]

COOKIES = [  # the headers, and the cookies that remain; None: if the cookie is sent twice, anything may remain
    (["__Host-refresh=SECRET"], {}),
    (["__Host-refresh=SECRET; a=1; b=2"], {"a": "1", "b": "2"}),
    (["a=1; __Host-refresh=SECRET; b=2"], {"a": "1", "b": "2"}),
    (["a=1; b=2; __Host-refresh=SECRET"], {"a": "1", "b": "2"}),
    (["a=1;__Host-refresh=SECRET;b=2"], {"a": "1", "b": "2"}),
    (["a=1; b=2", "__Host-refresh=SECRET"], {"a": "1", "b": "2"}),
    (["a=1", "c=3; __Host-refresh=SECRET; b=2"], {"a": "1", "b": "2", "c": "3"}),
    (["a=1; b=2"], {"a": "1", "b": "2"}),
    (["refresh=1; __Host-b=2; my__Host-refresh=3"], {"refresh": "1", "__Host-b": "2", "my__Host-refresh": "3"}),
    (["__Host-refresh=SECRET; __Host-refresh=SECRET"], None),
    (["__Host-refresh=SECRET;__Host-refresh=SECRET;a=1"], None),
    (["__Host-refresh=; a=1; __Host-refresh=SECRET; b=2"], None),
    (["__Host-refresh=SECRET; a=1; __Host-refresh="], None),
    (["__Host-refresh=SECRET", "__Host-refresh=SECRET"], None),
    (["a=1; __Host-refresh=SECRET", "__Host-refresh=SECRET; __Host-refresh=SECRET; b=2"], None),
]
OF_DEVICE = [
    ([header.replace("refresh", "device") for header in headers], kept)
    for headers, kept in COOKIES
    if "refresh=1" not in headers[0]
]
OF_BOTH = [
    (["__Host-refresh=SECRET; __Host-device=SECRET"], {}),
    (["__Host-device=SECRET; a=1; __Host-refresh=SECRET"], {"a": "1"}),
    (["a=1;__Host-refresh=SECRET;__Host-device=SECRET;b=2"], {"a": "1", "b": "2"}),
    (["a=1; __Host-device=SECRET", "__Host-refresh=SECRET; b=2"], {"a": "1", "b": "2"}),
    (["device=1; __Host-refresh=SECRET; my__Host-device=3"], {"device": "1", "my__Host-device": "3"}),
    (["__Host-device=SECRET; a=1; __Host-refresh=SECRET; __Host-device=SECRET; __Host-refresh="], None),
]


@pytest.fixture(params=PACKAGES)
def proxy(request):
    return request.param


@pytest.fixture(scope="module")
def services():
    """Those of this module, started by ``service``."""
    return []


@pytest.fixture
def service(services, serve_module):
    """One for the whole module, and another one after a test that has stopped it."""
    if not services or services[-1].process.poll() is not None:
        services.append(serve_module(workers=1))
    return services[-1]


@pytest.fixture
def database(module_database):
    yield module_database
    module_database.users.delete_many({})


@pytest.fixture
def backend():
    backend = Backend()
    yield backend
    backend.stop()


@pytest.fixture
def pair(service, database):
    credentials = {"email": ALICE, "password": PASSWORD}
    assert requests.post(f"{service.url}/users", json=credentials, timeout=15).status_code == 201
    signed_in = requests.post(f"{service.url}/auth", json=credentials, timeout=15)
    assert signed_in.status_code == 200
    return signed_in.json()


@pytest.fixture
def token(pair):
    return ("Authorization", f"Bearer {pair['token']}")


@pytest.fixture
def front(proxy, service, backend, tmp_path):
    with running(proxy, service.port, backend.port, tmp_path, {}) as front:
        yield front


def become_admin(database):
    assert database.users.update_one({}, {"$set": {"roles": ["editor", "admin"]}}).modified_count == 1


def claims(asked):
    """The headers that the backend would trust, in any spelling (CGI and WSGI turn ``-`` into ``_``)."""
    found = [(name.lower().replace("_", "-"), value) for name, value in asked.headers]
    return sorted((name, value) for name, value in found if name.startswith("x-auth") and value)


def test_only_signed_in_users_pass(front, service, backend, pair, token):
    for refused in [(), (("Authorization", "Bearer x.y.z"),), (("Authorization", f"Bearer {pair['refreshToken']}"),)]:
        answer = front.ask("/private/report", *refused)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="authservice"')
    assert backend.asked == []

    assert front.ask("/private/report?role=x&y=%2f", token).status == 200
    assert front.ask("/private/report", token, method="POST", body=b"a=1").status == 200
    assert front.ask("/private/report", token, method="POST", body=b"a=2", chunked=True).status == 200
    got, sent, streamed = backend.asked
    assert (got.method, got.path) == ("GET", "/private/report?role=x&y=%2f")
    assert (sent.method, sent.body) == ("POST", b"a=1")
    assert (streamed.method, streamed.body) == ("POST", b"a=2")
    for asked in backend.asked:
        assert claims(asked) == [("x-auth-email", ALICE), ("x-auth-user-id", pair["user"]["id"])]

    signed_out = requests.delete(f"{service.url}/auth", headers=dict([token]), timeout=15)
    assert signed_out.status_code == 204
    assert front.ask("/private/report", token).status == 401
    assert len(backend.asked) == 3


def test_identity_headers_of_a_client_are_dropped(front, backend, database, pair, token):
    true = [("x-auth-email", ALICE), ("x-auth-user-id", pair["user"]["id"])]
    for forged in [*([one] for one in FORGED), FORGED]:
        assert front.ask("/private/report", *forged, token, *forged).status == 200
        assert claims(backend.asked[-1]) == true
    assert front.ask("/private/admin", ("X-Auth-Roles", "admin"), token).status == 403

    become_admin(database)
    true.insert(1, ("x-auth-roles", "editor,admin"))
    for connection in ("X-Auth-Roles", "close, x-auth-user-id,X-Auth-Email , x-auth-roles"):
        assert front.ask("/private/report", *FORGED, ("Connection", connection), token).status == 200
        assert claims(backend.asked[-1]) == true


@pytest.mark.parametrize(
    ("cookies", "secret"),
    [(COOKIES, "refreshToken"), (OF_DEVICE, "deviceToken"), (OF_BOTH, "deviceToken")],
    ids=["refresh", "device", "both"],
)
def test_the_backend_gets_neither_token_nor_cookies_of_ours(front, backend, pair, token, cookies, secret):
    for headers, kept in cookies:
        given = [("Cookie", header.replace("SECRET", pair[secret])) for header in headers]
        assert front.ask("/private/report", *given, token).status == 200
        asked = backend.asked[-1]
        assert_no_secret(asked, pair)
        if kept is not None:
            # A separator may remain at the end, which SimpleCookie does not read in the middle.
            left = [value.rstrip("; ") for name, value in asked.headers if name.lower() == "cookie"]
            received = SimpleCookie("; ".join(left))
            assert {name: one.value for name, one in received.items()} == kept, headers
    assert len(backend.asked) == len(cookies)


def assert_no_secret(asked, pair):
    assert asked.header("Authorization") == ""
    for name, value in asked.headers:
        assert pair["token"] not in value, name
        assert pair["refreshToken"] not in value, name
        assert pair["deviceToken"] not in value, name


def test_no_path_bypasses_a_role_that_the_backend_checks(front, backend, database, token):
    for path in TRICKS:
        assert front.ask(path, token, ("X-Auth-Roles", "admin")).status in (400, 403, 404), path
    become_admin(database)
    assert front.ask("/private/admin/x", token).status == 200
    assert backend.asked[-1].header("X-Auth-Roles") == "editor,admin"


def test_no_path_bypasses_a_role_that_the_whole_backend_needs(proxy, service, backend, database, tmp_path, token):
    (old,) = WHOLE_NEEDS_ADMIN[proxy]
    assert block(proxy if proxy != "caddy" else "caddyfile").count(old) == 1
    with running(proxy, service.port, backend.port, tmp_path, WHOLE_NEEDS_ADMIN[proxy]) as front:
        for role in ("", "superadmin", "admins"):
            assert database.users.update_one({}, {"$set": {"roles": [role] if role else []}}).matched_count == 1
            for path in [*TRICKS, "/", "/private/report", "/?role=admin", "/?role="]:
                assert front.ask(path, token, ("X-Auth-Roles", "admin")).status in (400, 403, 404), path
        assert front.ask("/private/report").status == 401
        assert backend.asked == []
        become_admin(database)
        assert front.ask("/private/report?role=editor", token).status == 200
        assert front.ask("/private/ADMIN/x", token).status == 200


def test_a_recent_sign_in_with_two_factors_may_be_needed(proxy, service, backend, database, tmp_path, pair, token):
    with running(proxy, service.port, backend.port, tmp_path, WHOLE_NEEDS_A_RECENT_SIGN_IN[proxy]) as front:
        refused = front.ask("/private/report?acr=aal1", token)
        assert refused.status == 403
        if proxy != "nginx":  # which sends a page of its own
            challenge = refused.headers["WWW-Authenticate"]
            assert 'error="insufficient_user_authentication"' in challenge
            assert challenge.endswith('max_age="600", acr_values="aal2"')
        assert backend.asked == []
        stepped_up = {"$set": {"sessions.0.amr": ["pwd", "otp", "mfa"]}}
        assert database.users.update_one({}, stepped_up).modified_count == 1
        body = {"refreshToken": pair["refreshToken"]}
        renewed = requests.post(f"{service.url}/auth/refresh", json=body, timeout=15).json()["token"]
        assert front.ask("/private/report", ("Authorization", f"Bearer {renewed}")).status == 200


def test_nobody_passes_while_the_service_is_down(front, service, backend, token):
    service.stop()
    for headers in [(), (token,), (token, *FORGED)]:
        assert front.ask("/private/report", *headers).status in (500, 502, 503)
    assert backend.asked == []


def test_nobody_passes_haproxy_when_its_script_fails(service, backend, tmp_path, token):
    broken = {"core.httpclient()": "core.nothing()"}
    with running("haproxy", service.port, backend.port, tmp_path, broken) as front:
        for headers in [(), (token,), (token, *FORGED)]:
            assert front.ask("/private/report", *headers).status == 503
    assert backend.asked == []
