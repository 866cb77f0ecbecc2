"""Two applications in one process, on two databases and with two secrets, never see each other."""

import gc
import threading
import uuid
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from authservice import create_app
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, RUN, bearer, sign_in, state_of
from tests.security.test_hashing_gate import hash_in
from tests.server.processes import wait_until
from tests.service import free_port

ROUNDS = 12
SETTINGS = {
    "first": {
        "JWT_SECRET_KEY": "the first app signs with this secret and nothing else does",
        "JWT_ACCESS_TOKEN_EXPIRES": 3_600,
    },
    "second": {
        "JWT_SECRET_KEY": "the second app signs with this secret and nothing else does",
        "JWT_ACCESS_TOKEN_EXPIRES": 600,
        "JWT_ISSUER": "second",
        "PASSWORD_MIN_LENGTH": 20,
        "USERS_COLLECTION": "people",
    },
}
PASSWORDS = {name: f"{PASSWORD} of the {name} app" for name in SETTINGS}


@pytest.fixture
def databases(database_client):
    """A database for each app, by the name of the app."""
    names = {name: f"test_{RUN}_{name}_{uuid.uuid4().hex}" for name in SETTINGS}
    yield {name: database_client[database] for name, database in names.items()}
    for database in names.values():
        database_client.drop_database(database)


@pytest.fixture
def make(uri_of, databases, make_app):
    """``make("first", NAME=value)``: the first app, with further settings."""

    def make(name, **more):
        return make_app(**{"MONGO_URI": uri_of(databases[name].name), **SETTINGS[name], **more})

    return make


@pytest.fixture
def apps(make):
    return {name: make(name) for name in SETTINGS}


def walk(apps, name, email):
    """Sign up, sign in, use and refresh the tokens in one app. The other app accepts none of them."""
    here, there = apps[name].test_client(), apps["second" if name == "first" else "first"].test_client()
    person = {"email": email, "password": PASSWORDS[name]}
    assert_ok(here.post("/users", json=person), 201)
    first = sign_in(here, email, PASSWORDS[name])
    assert first["expiresIn"] == SETTINGS[name]["JWT_ACCESS_TOKEN_EXPIRES"]
    second = assert_ok(here.post("/auth/refresh", json={"refreshToken": first["refreshToken"]}))
    for pair in (first, second):
        me = assert_ok(here.get("/users/me", headers=bearer(pair["token"])))
        assert me["email"] == email
        assert_problem(there.get("/users/me", headers=bearer(pair["token"])), 401, "token_invalid")
        refused = there.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})
        assert_problem(refused, 401, "token_invalid")
    assert_problem(there.post("/auth", json=person), 401, "credentials_invalid")


def test_nothing_of_one_is_found_in_the_other_while_threads_drive_both(apps, databases):
    emails = [f"person-{number}@example.com" for number in range(ROUNDS)]
    with ThreadPoolExecutor(8) as threads:
        walks = [threads.submit(walk, apps, name, email) for email in emails for name in apps]
        for walked in walks:
            walked.result(120)
    for name, collection in (("first", "users"), ("second", "people")):
        assert sorted(databases[name].list_collection_names()) == sorted([collection, "limits", "mailRequests"])
        stored = [*databases[name][collection].find()]
        assert sorted(user["email"] for user in stored) == sorted(emails)
        assert {len(user["sessions"]) for user in stored} == {1}


def test_guards_of_both_that_ask_together_are_answered_each_by_its_own_database(make, databases):
    """Both have the same user, secret and session, but one has ended it: only the databases differ."""
    alike = {**SETTINGS["second"], "USERS_COLLECTION": "users", "PASSWORD_MIN_LENGTH": 8}
    apps = {name: make(name, **alike) for name in SETTINGS}
    client = apps["first"].test_client()
    assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    token = sign_in(client, ALICE)["token"]
    alice = databases["first"].users.find_one({})
    databases["second"].users.insert_one({**alice, "sessions": []})
    start = threading.Barrier(16)

    def ask(name):
        start.wait(30)
        client = apps[name].test_client()
        return {client.get("/users/test", headers=bearer(token)).status_code for _ in range(30)}

    with ThreadPoolExecutor(16) as threads:
        asked = [(name, threads.submit(ask, name)) for name in [*SETTINGS] * 8]
        for name, statuses in asked:
            assert statuses.result(120) == {200 if name == "first" else 401}


def test_what_one_has_verified_is_verified_again_for_the_other(make):
    """Both apps have the same users and the same secret, but different issuers."""
    clients = [make("first", JWT_ISSUER=issuer).test_client() for issuer in ("one", "two")]
    assert_ok(clients[0].post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
    for here, there in (clients, clients[::-1]):
        token = sign_in(here, ALICE)["token"]
        assert_ok(here.get("/users/test", headers=bearer(token)))
        assert_problem(there.get("/users/test", headers=bearer(token)), 401, "token_invalid")


def test_each_has_its_own_settings(apps):
    short = {"email": ALICE, "password": PASSWORD[:10]}
    assert_ok(apps["first"].test_client().post("/users", json=short), 201)
    refused = apps["second"].test_client().post("/users", json=short)
    assert_problem(refused, 422, "validation_failed", ("/password", "too_short"))


def test_each_hashes_at_its_own_cost(make, databases):
    apps = {"first": make("first", BCRYPT_LOG_ROUNDS=5), "second": make("second", BCRYPT_LOG_ROUNDS=4)}
    for name, app in apps.items():
        person = {"email": ALICE, "password": PASSWORDS[name]}
        assert_ok(app.test_client().post("/users", json=person), 201)
    assert databases["first"].users.find_one({})["password"].startswith("$2b$05$")
    assert databases["second"].people.find_one({})["password"].startswith("$2b$04$")


def test_a_database_that_is_away_stops_its_own_app_only(make):
    up = make("first").test_client()
    away = make("second", MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/away", MONGO_TIMEOUT_MS=600).test_client()
    assert_ok(up.post("/users", json={"email": ALICE, "password": PASSWORDS["first"]}), 201)
    token = sign_in(up, ALICE, PASSWORDS["first"])["token"]
    for _ in range(3):
        assert_problem(away.get("/readyz"), 503, "database_unavailable")
        assert_ok(up.get("/users/test", headers=bearer(token)))


def test_a_full_gate_refuses_for_its_own_app_only(make):
    busy, idle = make("first", BCRYPT_QUEUE=0), make("second", BCRYPT_QUEUE=0)
    gate = state_of(busy).hasher.gate
    has_place, leave = threading.Event(), threading.Event()

    def occupy():
        has_place.set()
        assert leave.wait(60)

    holder = threading.Thread(target=hash_in, args=(gate, occupy))
    holder.start()
    try:
        wait_until(has_place.is_set)
        people = {name: {"email": BOB, "password": PASSWORDS[name]} for name in SETTINGS}
        assert_problem(busy.test_client().post("/users", json=people["first"]), 503, "hashing_busy")
        assert_ok(idle.test_client().post("/users", json=people["second"]), 201)
    finally:
        leave.set()
        holder.join()


def test_each_has_its_own_openapi_and_origins(make):
    first, second = make("first", CORS_ORIGINS="https://a.example"), make("second", CORS_ORIGINS="https://b.example")
    for app, allowed in ((first, "https://a.example"), (second, "https://b.example")):
        client = app.test_client()
        assert "/users/test" in client.get("/openapi.json").get_json()["paths"]
        for origin in ("https://a.example", "https://b.example"):
            answer = client.get("/healthz", headers={"Origin": origin})
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if origin == allowed else None)


def test_an_app_that_is_dropped_leaves_nothing_of_its_own_behind(settings):
    """If a module kept anything, the next app would share it."""

    def serve_and_drop():
        app = create_app(settings)
        client = app.test_client()
        assert_ok(client.post("/users", json={"email": ALICE, "password": PASSWORD}), 201)
        pair = sign_in(client, ALICE)
        assert_ok(client.get("/users/test", headers=bearer(pair["token"])))
        assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))
        assert_ok(client.get("/openapi.json"))
        state = state_of(app)
        state.client.close()
        parts = (app, state.client, state.resilience.breaker, state.indexes, state.lookups, state.hasher.gate)
        return [weakref.ref(part) for part in parts]

    dropped = serve_and_drop()
    gc.collect()
    assert [part() for part in dropped] == [None] * len(dropped)
