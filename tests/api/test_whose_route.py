"""Which of two answers a path: the app that embeds the service, or the service. Both read a request in the same way."""

import pytest
from flask import Flask, current_app
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import BaseConverter
from werkzeug.test import Client

from authservice import AuthService
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, state_of

PERSON = {"email": ALICE, "password": PASSWORD}
OWN = "the host's own"
PREFIX = "/identity"


@pytest.fixture
def bind(settings):
    bound = []

    def bind(app, **options):
        AuthService(app, **{**settings, **options})
        bound.append(app)
        return app.test_client()

    yield bind
    for app in bound:
        state_of(app).client.close()


def own():
    return OWN


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "x", ""])
def test_only_a_preflight_asks_about_another_method(bind, method):
    """Otherwise a header would lead past a route of the host that replaces one of ours."""
    app = Flask("host")
    app.add_url_rule("/auth", "sign_in", own, methods=["POST"])
    client = bind(app)
    answer = client.post("/auth", json=PERSON, headers={"Access-Control-Request-Method": method})
    assert answer.text == OWN


@pytest.mark.parametrize("path", ["/identity/größe", "/identity/%E2%82%AC", "/identity/a%20b"])
def test_a_path_with_any_letters_is_the_host_s(bind, path):
    app = Flask("host")
    for rule in ("/identity/größe", "/identity/€", "/identity/a b"):
        app.add_url_rule(rule, rule, own)
    assert bind(app, url_prefix=PREFIX).get(path).text == OWN


@pytest.mark.parametrize("merge_slashes", [True, False])
@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_two_slashes_lead_past_no_route_of_the_host(bind, prefix, merge_slashes):
    app = Flask("host")
    app.url_map.merge_slashes = merge_slashes
    app.add_url_rule(f"{prefix}/auth", "sign_in", own, methods=["POST"])
    client = bind(app, url_prefix=prefix)
    for slashes in ("//", "///"):
        path = {"PATH_INFO": f"{prefix}{slashes}auth"}  # of //auth, the client would make a host name
        answer = client.post("/", json=PERSON, environ_overrides=path)
        assert answer.status_code in (308, 404) or answer.text == OWN
        assert answer.mimetype == "text/html"


def test_a_route_of_a_subdomain_is_the_host_s_there_alone(bind):
    app = Flask("host", subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    app.add_url_rule("/healthz", "health", own, subdomain="api")
    client = bind(app)
    assert client.get("/healthz", base_url="http://api.example.com").text == OWN
    assert_ok(client.get("/healthz", base_url="http://example.com"))


def test_a_host_name_that_the_host_refuses_reaches_nothing_of_ours(bind):
    app = Flask("host")
    client = bind(app)
    app.config["TRUSTED_HOSTS"] = ["example.com"]
    assert_ok(client.get("/healthz", base_url="http://example.com"))
    refused = client.get("/healthz", base_url="http://elsewhere.com")
    assert (refused.status_code, refused.mimetype) == (400, "text/html")


class Person(BaseConverter):
    def to_python(self, value):
        if value == "healthz":
            raise NotFound
        if value == "readyz":
            raise ZeroDivisionError
        return current_app.name + value


def test_converters_of_the_host_run_in_its_context(bind):
    app = Flask("host")
    app.url_map.converters["person"] = Person
    app.add_url_rule("/<person:whom>", "person", lambda whom: whom)
    client = bind(app)
    assert client.get("/alice").text == "hostalice"
    assert_ok(client.get("/openapi.json"))
    assert_ok(client.get("/healthz"))
    assert client.get("/readyz").mimetype == "text/html"  # as without us: the host's crash


def test_the_files_of_our_pages_are_served_beside_a_static_folder(bind, tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "home.css").write_text(OWN)
    app = Flask("host", root_path=str(tmp_path))
    app.register_error_handler(404, lambda error: (OWN, 404))
    client = bind(app)
    for name in ("docs.css", "docs.js", "favicon.svg", "readme.css"):
        assert client.get(f"/static/{name}", buffered=True).status_code == 200, name
    for name in ("home.css", "docs.html", "missing.css", "client/index.html"):
        assert client.get(f"/static/{name}", buffered=True).text == OWN, name


def test_no_file_of_the_host_is_hidden_where_they_are_at_the_root(bind, tmp_path):
    files = ("static/own.css", "static/home.css", "docs/own.html", "app/assets/own.js", "readme", "healthz")
    for name in files:
        (tmp_path / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dist" / name).write_text(OWN)
    app = Flask("host", root_path=str(tmp_path), static_folder="dist", static_url_path="")
    client = bind(app)
    for name in files:
        assert client.get(f"/{name}", buffered=True).text == OWN, name
    assert client.get("/docs/swagger-ui.css", buffered=True).status_code == 200
    assert_problem(client.get("/users/me"), 401, "token_missing")


def test_a_host_under_a_path_of_its_own_server(bind):
    app = Flask("host")
    bind(app, url_prefix=PREFIX)
    outer = Client(DispatcherMiddleware(Flask("outer"), {"/shop": app}))
    described = outer.get(f"/shop{PREFIX}/openapi.json").get_json()
    assert [server["url"] for server in described["servers"]] == [f"/shop{PREFIX}"]
    assert outer.post(f"/shop{PREFIX}/users", json=PERSON).headers["Location"] == f"/shop{PREFIX}/users/me"
