"""AuthService in somebody else's Flask app: it brings its routes and guards, and touches nothing of the app's own."""

import contextlib
import logging
import os
import threading

import flask_jwt_extended
import jwt
import pytest
from flask import Blueprint, Flask, abort, g, render_template_string, request, session
from flask_jwt_extended import JWTManager
from flask_pymongo import PyMongo
from pymongo import MongoClient

from authservice import (
    AuthService,
    ConfigurationError,
    create_app,
    current_user,
    embedded,
    jwt_required,
    roles_required,
)
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, SECRET, bearer, state_of

PERSON = {"email": ALICE, "password": PASSWORD}
PREFIX = "/identity"
OUR_HEADERS = ("Content-Security-Policy", "Cache-Control", "X-Request-Id", "X-Content-Type-Options", "Referrer-Policy")


@pytest.fixture
def make_host(settings, tmp_path):
    """``make_host(url_prefix=...)``: an app of somebody else's with our extension, bound before its routes."""
    made = []

    def make(*, bind=True, **options):
        (tmp_path / "static").mkdir(exist_ok=True)
        (tmp_path / "static" / "home.css").write_text("the host's own")
        app = Flask("host", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
        app.secret_key = "the host's own"
        if bind:
            AuthService().init_app(app, **{**settings, **options})
            made.append(app)
        app.add_url_rule("/", "home", lambda: "the host's home")
        return app

    yield make
    for app in made:
        state_of(app).client.close()


def assert_refused(answer, status, code):
    """On a route of the host: problem details and the challenge, without what our own answers carry beside."""
    problem = answer.get_json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), answer.text
    assert answer.mimetype == "application/problem+json"
    assert problem["requestId"] == answer.headers["X-Request-Id"] != ""
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" not in answer.headers
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="authservice"')


def add_todos(app):
    @app.get("/todos")
    @jwt_required()
    def todos():
        return {"owner": current_user().id, "email": current_user().email}

    @app.get("/editors")
    @jwt_required()
    @roles_required("editor")
    def editors():
        return {"ok": True}


def token_of(client, prefix=""):
    assert_ok(client.post(f"{prefix}/users", json=PERSON), 201)
    return assert_ok(client.post(f"{prefix}/auth", json=PERSON))["token"]


def sign_out_everywhere(client, token):
    ended = client.delete(f"{PREFIX}/auth/sessions", query_string={"scope": "all"}, headers=bearer(token))
    assert ended.status_code == 204


@pytest.mark.parametrize("prefix", ["", PREFIX, "/api/v1"])
def test_the_tutorial_s_walk_works_at_any_prefix(make_host, prefix):
    app = make_host(url_prefix=prefix)
    add_todos(app)
    client = app.test_client()
    created = client.post(f"{prefix}/users", json=PERSON)
    me = assert_ok(created, 201)
    assert created.headers["Location"] == f"{prefix}/users/me"
    token = sign_in_at(client, prefix)["token"]
    assert assert_ok(client.get(f"{prefix}/users/test", headers=bearer(token))) == {"message": "You did it!"}
    assert assert_ok(client.get("/todos", headers=bearer(token))) == {"owner": me["id"], "email": ALICE}
    assert client.get("/").text == "the host's home"


def sign_in_at(client, prefix):
    return assert_ok(client.post(f"{prefix}/auth", json=PERSON))


def test_guards_of_the_host_s_routes_answer_by_the_standards(make_host):
    app = make_host(url_prefix=PREFIX)
    add_todos(app)
    client = app.test_client()
    missing = client.get("/todos")
    assert_refused(missing, 401, "token_missing")
    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="authservice"'
    assert_refused(client.get("/todos", headers=bearer("x.y.z")), 401, "token_invalid")
    token = token_of(client, PREFIX)
    refused = client.get("/editors", headers=bearer(token))
    assert_refused(refused, 403, "role_missing")
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    sign_out_everywhere(client, token)
    assert_refused(client.get("/todos", headers=bearer(token)), 401, "token_invalid")


def test_a_guard_answers_itself_where_the_host_catches_everything(make_host):
    app = make_host(url_prefix=PREFIX)
    own = Blueprint("own", __name__)
    own.register_error_handler(Exception, lambda error: ("caught", 500))
    app.register_error_handler(Exception, lambda error: ("caught", 500))
    add_todos(own)
    app.register_blueprint(own)
    client = app.test_client()
    assert_refused(client.get("/todos"), 401, "token_missing")
    assert_refused(client.get("/editors", headers=bearer(token_of(client, PREFIX))), 403, "role_missing")


def test_a_route_without_a_guard_that_asks_for_the_user_is_told_so(make_host):
    app = make_host()
    app.add_url_rule("/nobody", "nobody", lambda: current_user().id)
    app.testing = True
    with pytest.raises(RuntimeError):
        app.test_client().get("/nobody")


def test_a_guarded_coroutine_is_awaited(make_host):
    app = make_host()

    @app.get("/later")
    @jwt_required()
    async def later():
        return {"id": current_user().id}

    client = app.test_client()
    assert_ok(client.get("/later", headers=bearer(token_of(client))))


def test_the_host_s_own_answers_are_as_before(make_host, caplog):
    """Pages, errors, headers, JSON, templates, files, the session and the log."""
    app = make_host()

    @app.post("/loose")
    def loose():
        return {"read": request.get_json(), "sum": float("inf")}

    @app.get("/template")
    def template():
        return render_template_string("{{ request.path }} {{ config['OWN'] }}")

    @app.get("/visits")
    def visits():
        session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    @app.get("/log")
    def log():
        logging.getLogger("host").warning("seen")
        app.logger.error("seen as well")
        return ""

    @app.get("/teapot")
    def teapot():
        abort(418)

    app.config["OWN"] = "mine"
    app.register_error_handler(404, lambda error: ("the host's 404", 404))
    app.register_error_handler(405, lambda error: ("the host's 405", 405))
    client = app.test_client()
    assert client.post("/loose", data='{"a": 1, "a": NaN}', content_type="application/json").text.count("NaN") == 1
    assert client.get("/template").text == "/template mine"
    assert client.get("/static/home.css", buffered=True).text == "the host's own"
    assert [client.get("/visits").get_json()["visits"] for _ in range(2)] == [1, 2]
    assert client.get("/log").status_code == 200
    assert [record.getMessage() for record in caplog.records if record.name.startswith("host")] == [
        "seen",
        "seen as well",
    ]
    for answer in (client.get("/nowhere"), client.post("/")):
        assert answer.text.startswith("the host's 40")
    assert "teapot, not a coffee" in client.get("/teapot").text
    for path in ("/", "/nowhere", "/template", "/static/home.css", "/visits"):
        answer = client.get(path, headers={"Origin": "http://localhost:8100"}, buffered=True)
        for header in (*OUR_HEADERS, "Access-Control-Allow-Origin"):
            if (path, header) != ("/static/home.css", "Cache-Control"):  # Flask's own
                assert header not in answer.headers, (path, header)


def test_crashes_of_the_host_are_its_own(make_host):
    app = make_host()
    app.add_url_rule("/crash", "crash", lambda: 1 / 0)
    assert "Internal Server Error" in app.test_client().get("/crash").text


def test_the_host_s_configuration_is_neither_read_nor_written(make_host, settings, tmp_path):
    app = make_host(bind=False)
    app.config.update(
        MONGO_URI="mongodb://nowhere.invalid/x",
        JWT_SECRET_KEY="x",
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_ALGORITHM="none",
        BCRYPT_LOG_ROUNDS=31,
        MAX_CONTENT_LENGTH=1,
        OPENAPI_VERSION="2.0",
        API_TITLE="mine",
    )
    before = dict(app.config)
    json, extensions, handlers = app.json, {*app.extensions}, app.error_handler_spec[None].copy()
    AuthService(app, url_prefix=PREFIX, **settings)
    assert dict(app.config) == before
    assert app.json is json
    assert {*app.extensions} - extensions == {"authservice"}
    assert {*app.error_handler_spec[None]} - {*handlers} <= {None}
    assert not app.before_request_funcs
    assert not app.after_request_funcs
    assert not app.blueprints
    add_todos(app)
    client = app.test_client()
    assert_ok(client.get("/todos", headers=bearer(token_of(client, PREFIX))))
    state_of(app).client.close()


ROUTES = {
    "pages": ["/app/", "/app", "/readme"],
    "docs": ["/docs", "/openapi.json"],
    "health": ["/healthz", "/readyz"],
    "metrics": ["/metrics"],
}


@pytest.mark.parametrize("left_out", [None, *ROUTES])
@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_parts_can_be_left_out(make_host, prefix, left_out):
    client = make_host(url_prefix=prefix, **({left_out: False} if left_out else {})).test_client()
    for part, paths in ROUTES.items():
        for path in paths:
            expected = (404,) if part == left_out else (200, 308)
            assert client.get(prefix + path, buffered=True).status_code in expected, path
    assert_ok(client.post(f"{prefix}/users", json=PERSON), 201)


def test_pages_live_under_the_prefix(make_host):
    client = make_host(url_prefix=PREFIX).test_client()
    slash = client.get(PREFIX)
    assert (slash.status_code, slash.headers["Location"]) == (308, "identity/")
    home = client.get(f"{PREFIX}/", buffered=True)
    assert "Try the app" in home.text
    app_without_slash = client.get(f"{PREFIX}/app")
    assert (app_without_slash.status_code, app_without_slash.headers["Location"]) == (308, "app/")
    assert client.get(f"{PREFIX}/static/home.css", buffered=True).text != "the host's own"
    described = client.get(f"{PREFIX}/openapi.json").get_json()
    assert [server["url"] for server in described["servers"]] == [PREFIX]
    assert "/users/test" in described["paths"]
    assert client.get("/app/").status_code == client.get("/openapi.json").status_code == 404


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_every_route_of_the_host_wins_over_ours(make_host, prefix):
    """Whether it was added before or after ours."""
    app = make_host(url_prefix=prefix)
    for path in ("/healthz", "/docs", "/app/", "/metrics", "/static/own.css", "/users/me"):
        app.add_url_rule(prefix + path, path, lambda: "the host's own")
    app.add_url_rule(f"{prefix}/users", "people", lambda: "the host's own")
    app.add_url_rule(f"{prefix}/extra", "extra", lambda: "the host's own")
    client = app.test_client()
    for path in ("/healthz", "/docs", "/app/", "/metrics", "/static/own.css", "/users/me", "/users", "/extra"):
        assert client.get(prefix + path).text == "the host's own", path
    assert client.get(f"{prefix}/app").headers["Location"].endswith(f"{prefix}/app/")
    token = token_of(client, prefix)  # POST /users is ours still
    assert_ok(client.get(f"{prefix}/users/test", headers=bearer(token)))


def test_a_catch_all_of_the_host_hides_nothing_of_ours(make_host):
    app = make_host()
    app.add_url_rule("/<path:path>", "spa", lambda path: f"spa {path}")
    client = app.test_client()
    token = token_of(client)
    assert_ok(client.get("/users/test", headers=bearer(token)))
    assert_problem(client.delete("/auth/sessions/none", headers=bearer(token)), 404, "session_unknown")
    assert client.get("/else/where").text == "spa else/where"
    assert client.get("/users/of/the/host").text == "spa users/of/the/host"
    assert client.get("/static/home.css", buffered=True).text == "the host's own"


def test_a_preflight_is_answered_by_whose_route_it_asks_for(make_host):
    app = make_host(CORS_ORIGINS="https://app.example.com")
    app.add_url_rule("/users", "people", lambda: "the host's own")
    client = app.test_client()
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    assert client.options("/users", headers=asked).headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    asked["Access-Control-Request-Method"] = "GET"
    assert "Access-Control-Allow-Origin" not in client.options("/users", headers=asked).headers


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_a_route_that_the_host_has_replaced_is_not_reached_by_a_header(make_host, prefix):
    app = make_host(url_prefix=prefix)
    app.add_url_rule(f"{prefix}/users", "closed", lambda: ("closed", 403), methods=["POST"])
    client = app.test_client()
    for method in ("GET", "DELETE", "PUT", "OPTIONS", "", "x"):
        headers = {"Access-Control-Request-Method": method, "X-HTTP-Method-Override": method}
        assert client.post(f"{prefix}/users", json=PERSON, headers=headers).text == "closed"


@pytest.mark.parametrize("path", ["/identityX", "/identity.json", "/ident"])
def test_a_path_that_only_begins_like_the_prefix_is_the_host_s(make_host, path):
    app = make_host(url_prefix=PREFIX)
    app.register_error_handler(404, lambda error: ("the host's 404", 404))
    assert app.test_client().get(path).text == "the host's 404"


def test_what_is_unknown_under_the_prefix_is_a_problem_of_ours(make_host):
    client = make_host(url_prefix=PREFIX).test_client()
    assert_problem(client.get(f"{PREFIX}/nowhere"), 404, "not_found")
    assert_problem(client.get(f"{PREFIX}/auth"), 405, "method_not_allowed")


@pytest.mark.parametrize("prefix", ["identity", "/identity?x", "/<x>", "//", "/a//b", "https://x"])
def test_a_prefix_that_is_no_path_is_refused(make_host, prefix):
    if prefix == "//":
        prefix = "//a"
    with pytest.raises(ConfigurationError, match="url_prefix must be a path such as /identity"):
        make_host(url_prefix=prefix)


def test_names_that_the_host_uses_itself_do_not_collide(make_host):
    app = make_host()

    @app.before_request
    def load():
        g.user, g.session_id, g.time_budget = "the host's", "the host's", "the host's"

    for name in ("users", "auth", "admin", "health", "pages", "api-docs"):
        app.register_blueprint(Blueprint(name, __name__))
    add_todos(app)
    app.add_url_rule("/g", "g", lambda: g.user)
    client = app.test_client()
    assert_ok(client.get("/todos", headers=bearer(token_of(client))))
    assert client.get("/g").text == "the host's"


def test_a_second_jwt_manager_of_the_host_s_does_not_collide(make_host):
    app = make_host(url_prefix=PREFIX)
    app.config["JWT_SECRET_KEY"] = "the host's own secret, of 32 bytes and more"
    JWTManager(app)

    @app.get("/own")
    @flask_jwt_extended.jwt_required()
    def own():
        return {"sub": flask_jwt_extended.get_jwt_identity()}

    add_todos(app)
    client = app.test_client()
    with app.app_context():
        theirs = flask_jwt_extended.create_access_token("somebody")
    ours = token_of(client, PREFIX)
    assert client.get("/own", headers=bearer(theirs)).get_json() == {"sub": "somebody"}
    assert client.get("/own", headers=bearer(ours)).status_code == 422  # flask-jwt-extended's own answer
    assert_ok(client.get("/todos", headers=bearer(ours)))
    assert_refused(client.get("/todos", headers=bearer(theirs)), 401, "token_invalid")


def test_a_jwt_manager_that_is_handed_in_lets_the_same_users_pass(make_host):
    app = make_host(bind=False)
    manager = JWTManager(app)
    host = make_host(url_prefix=PREFIX, jwt=manager)
    manager.init_app(host)

    @host.get("/own")
    @flask_jwt_extended.jwt_required()
    @roles_required()
    def own():
        return {"email": current_user().email}

    client = host.test_client()
    tokens = token_of(client, PREFIX)
    assert assert_ok(client.get("/own", headers=bearer(tokens))) == {"email": ALICE}
    assert_refused(client.get("/own"), 401, "token_missing")
    sign_out_everywhere(client, tokens)
    assert_refused(client.get("/own", headers=bearer(tokens)), 401, "token_invalid")


def test_a_jwt_manager_that_is_handed_in_asks_for_the_issuer(make_host):
    manager = JWTManager()
    host = make_host(url_prefix=PREFIX, jwt=manager, JWT_ISSUER="ours")
    manager.init_app(host)
    host.add_url_rule("/own", "own", flask_jwt_extended.jwt_required()(lambda: {"ok": True}))
    client = host.test_client()
    token = token_of(client, PREFIX)
    assert_ok(client.get("/own", headers=bearer(token)))
    claims = jwt.decode(token, options={"verify_signature": False})
    for issuer in ("somebody else", None):
        forged = {**claims, "iss": issuer} if issuer else {name: claims[name] for name in claims if name != "iss"}
        assert_refused(client.get("/own", headers=bearer(jwt.encode(forged, SECRET))), 401, "token_invalid")


@pytest.mark.parametrize("kind", ["PyMongo", "MongoClient"])
def test_a_client_of_the_host_s_is_used(make_host, mongo_uri, database, kind):
    app = make_host(bind=False)
    mongo = PyMongo(app, mongo_uri) if kind == "PyMongo" else MongoClient(mongo_uri)
    AuthService(app, mongo=mongo, JWT_SECRET_KEY=SECRET, BCRYPT_LOG_ROUNDS=4, url_prefix=PREFIX)
    add_todos(app)
    client = app.test_client()
    with contextlib.closing(mongo.cx if kind == "PyMongo" else mongo) as used:
        assert state_of(app).client is used
        assert_ok(client.get("/todos", headers=bearer(token_of(client, PREFIX))))
        users = state_of(app).users
        assert users.write_concern.document == {"w": "majority", "j": True}
        assert users.codec_options.tz_aware
    assert database.users.count_documents({"email": ALICE}) == 1


def test_a_client_of_the_host_s_has_a_time_out_too(make_host):
    """Without one of its own it would wait 30 s for a database that is away."""
    app = make_host(bind=False)
    with MongoClient("mongodb://127.0.0.1:1/x", connect=False) as mongo:
        AuthService(app, mongo=mongo, JWT_SECRET_KEY=SECRET, MONGO_TIMEOUT_MS=200)
        assert_problem(app.test_client().post("/auth", json=PERSON), 503, "database_unavailable")


@pytest.mark.parametrize("mongo", [PyMongo(), MongoClient("mongodb://127.0.0.1:1", connect=False)])
def test_a_client_that_names_no_database_is_refused(make_host, mongo):
    with pytest.raises(ConfigurationError, match="names a database"):
        AuthService(make_host(bind=False), mongo=mongo, JWT_SECRET_KEY=SECRET)


def test_a_client_needs_a_secret(make_host, mongo_uri):
    with MongoClient(mongo_uri) as mongo, pytest.raises(ConfigurationError, match="FLASK_JWT_SECRET_KEY is required"):
        AuthService(make_host(bind=False), mongo=mongo)


def test_an_app_is_bound_once(make_host, settings):
    app = make_host()
    with pytest.raises(RuntimeError, match="has an AuthService already"):
        AuthService(app, **settings)


def test_one_extension_serves_two_apps(settings, uri_of, database, make_host):
    auth = AuthService(**{**settings, "MONGO_URI": None})
    apps = [make_host(bind=False) for _ in range(2)]
    for number, app in enumerate(apps):
        auth.init_app(app, MONGO_URI=uri_of(f"{database.name}_{number}"), url_prefix=f"/at{number}")
        add_todos(app)
    try:
        token = token_of(apps[0].test_client(), "/at0")
        assert_ok(apps[0].test_client().get("/todos", headers=bearer(token)))
        assert_refused(apps[1].test_client().get("/todos", headers=bearer(token)), 401, "token_invalid")
        assert_problem(apps[1].test_client().post("/at1/auth", json=PERSON), 401, "credentials_invalid")
    finally:
        for number, app in enumerate(apps):
            state_of(app).client.drop_database(f"{database.name}_{number}")
            state_of(app).client.close()


def test_keywords_that_are_no_setting_are_named(make_host):
    with pytest.raises(ConfigurationError) as refused:
        make_host(MAX_SESSION=3, url_prefx="/x")
    assert refused.value.faults == [
        "MAX_SESSION, given to AuthService, is not a setting; did you mean MAX_SESSIONS?",
        "url_prefx, given to AuthService, is not a setting",
    ]


def test_a_host_has_variables_of_its_own(make_host, monkeypatch, caplog):
    """What is nearly one of ours is told, and ``flask run`` sets FLASK_RUN_FROM_CLI."""
    for name in ("FLASK_RUN_FROM_CLI", "FLASK_SQLALCHEMY_DATABASE_URI", "MONGO_URI", "FLASK_MAX_SESSION"):
        monkeypatch.setenv(name, "1")
    make_host()
    told = [(record.levelname, record.message) for record in caplog.records if "did you mean" in record.message]
    assert told == [("WARNING", "FLASK_MAX_SESSION is not a setting of authservice; did you mean FLASK_MAX_SESSIONS?")]
    with pytest.raises(ConfigurationError, match="FLASK_SQLALCHEMY_DATABASE_URI is not a setting"):
        create_app()


def test_the_commands_are_the_host_s_too(make_host):
    app = make_host()
    assert_ok(app.test_client().post("/users", json=PERSON), 201)
    ran = app.test_cli_runner().invoke(args=["users", "show", ALICE])
    assert (ran.exit_code, ALICE in ran.output) == (0, True)
    assert app.test_cli_runner().invoke(args=["check"]).exit_code == 0


def test_a_command_of_the_host_s_own_stays(settings, make_host):
    app = make_host(bind=False)
    app.cli.command("users")(lambda: print("the host's own"))
    AuthService(app, **settings)
    assert app.test_cli_runner().invoke(args=["users"]).output == "the host's own\n"
    state_of(app).client.close()


def test_the_embedded_database_is_the_host_s_own(make_host, monkeypatch, tmp_path):
    app = make_host(bind=False)
    AuthService(app, BCRYPT_LOG_ROUNDS=4)
    try:
        token_of(app.test_client())
        assert (tmp_path / "instance" / "authservice" / "jwt-secret").is_file()
    finally:
        state_of(app).client.close()
        embedded.disown()


def test_it_runs_under_gunicorn_s_own_configuration(make_host, monkeypatch):
    """``create_app`` refuses that."""
    monkeypatch.setitem(__import__("sys").modules, "gunicorn.arbiter", os)
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27.0.1")
    assert_ok(make_host().test_client().get("/healthz"))
    with pytest.raises(ConfigurationError, match="without the configuration of this service"):
        create_app()


def test_a_proxy_in_front_of_the_host_is_believed_as_configured(make_host, database):
    client = make_host(TRUSTED_PROXIES=1).test_client()
    assert_ok(client.post("/users", json=PERSON), 201)
    assert_ok(client.post("/auth", json=PERSON, headers={"X-Forwarded-For": "203.0.113.7"}))
    assert database.users.find_one()["sessions"][0]["ip"] == "203.0.113.7"


def test_requests_of_host_and_service_at_once_stay_apart(make_host):
    app = make_host(url_prefix=PREFIX)
    add_todos(app)
    token = token_of(app.test_client(), PREFIX)
    failed = []

    def drive(path, expected):
        for _ in range(40):
            answer = app.test_client().get(path, headers=bearer(token))
            if answer.status_code != expected:
                failed.append((path, answer.status_code))

    asked = [("/todos", 200), (f"{PREFIX}/users/test", 200), ("/", 200), ("/none", 404), (f"{PREFIX}/none", 404)]
    threads = [threading.Thread(target=drive, args=one) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
