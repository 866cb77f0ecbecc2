"""The signals tell an app what happened to its users, once for each time that it did, and after the write."""

import contextlib
import gc
import json

import pytest
from flask import Flask, current_app, g, request, session, url_for

from authservice import AuthService, User, password_changed, signed_in, signed_out, user_created, user_deleted
from authservice.store import users as store
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, BOB, PASSWORD, SECRET, bearer, sign_in, state_of

NEW = "an even longer secret"
PERSON = {"email": ALICE, "password": PASSWORD}
SIGNALS = {
    "user_created": user_created,
    "signed_in": signed_in,
    "signed_out": signed_out,
    "password_changed": password_changed,
    "user_deleted": user_deleted,
}


@contextlib.contextmanager
def connected(signal, receiver, app):
    with signal.connected_to(receiver, sender=app):
        yield


@pytest.fixture
def heard(app):
    """The names of the signals since the last look, and whom they were about."""
    told = []

    def listener(name):
        def listen(sender, user, **more):
            assert sender is app is current_app._get_current_object()
            assert isinstance(user, User)
            assert more == {}
            told.append((name, user.email))

        return listen

    with contextlib.ExitStack() as stack:
        for name, signal in SIGNALS.items():
            stack.enter_context(connected(signal, listener(name), app))
        yield lambda: [told.pop(0) for _ in [*told]]


@pytest.fixture
def admin(client, database, heard):
    assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)
    assert database.users.update_one({"email": BOB}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    headers = bearer(sign_in(client, BOB)["token"])
    heard()
    return headers


def ended(answer):
    assert answer.status_code == 204, answer.text


def test_what_users_do_is_told_once(client, heard):
    assert_ok(client.post("/users", json=PERSON), 201)
    assert heard() == [("user_created", ALICE)]
    pair = sign_in(client, ALICE)
    assert heard() == [("signed_in", ALICE)]
    pair = assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))
    assert heard() == []
    mine = bearer(pair["token"])
    change = {"currentPassword": PASSWORD, "newPassword": NEW}
    pair = assert_ok(client.put("/users/me/password", json=change, headers=mine))
    assert heard() == [("password_changed", ALICE)]
    ended(client.delete("/users/me", json={"currentPassword": NEW}, headers=bearer(pair["token"])))
    assert heard() == [("user_deleted", ALICE)]


def test_every_way_to_sign_out_is_told_once(client, heard):
    assert_ok(client.post("/users", json=PERSON), 201)
    pair, second, third, last = (sign_in(client, ALICE) for _ in range(4))
    heard()
    for _ in range(2):  # the second time there is nothing to end
        ended(client.delete("/auth", headers=bearer(pair["token"])))
    assert heard() == [("signed_out", ALICE)]
    ended(client.delete("/auth", json={"refreshToken": second["refreshToken"]}))
    assert heard() == [("signed_out", ALICE)]
    mine = bearer(last["token"])
    listed = assert_ok(client.get("/auth/sessions", headers=mine))["sessions"]
    (other,) = [session["id"] for session in listed if not session["current"]]
    ended(client.delete(f"/auth/sessions/{other}", headers=mine))
    assert heard() == [("signed_out", ALICE)]
    assert_problem(client.delete(f"/auth/sessions/{other}", headers=mine), 404, "session_unknown")
    ended(client.delete("/auth/sessions?scope=others", headers=mine))
    assert heard() == []
    sign_in(client, ALICE)
    ended(client.delete("/auth/sessions?scope=others", headers=mine))
    assert heard() == [("signed_in", ALICE), ("signed_out", ALICE)]
    ended(client.delete("/auth/sessions?scope=all", headers=mine))
    assert heard() == [("signed_out", ALICE)]
    assert client.get("/users/me", headers=bearer(third["token"])).status_code == 401


def test_a_session_that_is_replaced_or_stolen_is_told(client, heard):
    for email in (ALICE, BOB):
        assert_ok(client.post("/users", json={**PERSON, "email": email}), 201)
    by_cookie = {"headers": {"X-Requested-With": "x"}, "base_url": "https://localhost"}
    for email in (ALICE, BOB):
        assert_ok(client.post("/auth", json={**PERSON, "email": email, "cookie": True}, **by_cookie))
    assert heard()[2:] == [("signed_in", ALICE), ("signed_out", ALICE), ("signed_in", BOB)]
    first = {"refreshToken": sign_in(client, ALICE)["refreshToken"]}
    second = {"refreshToken": assert_ok(client.post("/auth/refresh", json=first))["refreshToken"]}
    assert_ok(client.post("/auth/refresh", json=second))
    heard()
    for _ in range(2):
        assert client.post("/auth/refresh", json=first).status_code == 401
    assert heard() == [("signed_out", ALICE)]


def test_what_is_refused_is_not_told(client, alice, heard):
    heard()
    assert_problem(client.post("/users", json=PERSON), 409, "email_taken")
    assert_problem(client.post("/auth", json={**PERSON, "password": "wrong"}), 401, "credentials_invalid")
    wrong = {"currentPassword": "wrong", "newPassword": NEW}
    assert_problem(client.put("/users/me/password", json=wrong, headers=bearer(alice)), 403, "password_wrong")
    del wrong["newPassword"]
    assert_problem(client.delete("/users/me", json=wrong, headers=bearer(alice)), 403, "password_wrong")
    assert heard() == []


def test_what_admins_do_is_told_once(client, admin, heard):
    alice = assert_ok(client.post("/users", json=PERSON), 201)["id"]
    sign_in(client, ALICE)
    heard()
    path = f"/admin/users/{alice}"
    assert_ok(client.patch(path, json={"roles": ["editor"]}, headers=admin))
    assert heard() == []
    for _ in range(2):
        assert_ok(client.patch(path, json={"disabled": True}, headers=admin))
    assert heard() == [("signed_out", ALICE)]
    assert_ok(client.patch(path, json={"disabled": False}, headers=admin))
    assert heard() == []
    sign_in(client, ALICE)
    for _ in range(2):
        ended(client.delete(f"{path}/sessions", headers=admin))
    assert heard() == [("signed_in", ALICE), ("signed_out", ALICE)]
    ended(client.delete(path, headers=admin))
    assert_problem(client.delete(path, headers=admin), 404, "user_unknown")
    assert heard() == [("user_deleted", ALICE)]


def test_the_last_admin_who_stays_is_not_told_deleted(client, admin, heard):
    bob = assert_ok(client.get("/users/me", headers=admin))["id"]
    assert_problem(client.delete(f"/admin/users/{bob}", headers=admin), 409, "last_admin")
    assert heard() == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["create", BOB, "--password-stdin"], [("user_created", BOB)]),
        (["set-password", ALICE, "--password-stdin"], [("password_changed", ALICE)]),
        (["disable", ALICE], [("signed_out", ALICE)]),
        (["end-sessions", ALICE], [("signed_out", ALICE)]),
        (["delete", ALICE, "--yes"], [("user_deleted", ALICE)]),
        (["grant", ALICE, "editor"], []),
        (["show", ALICE], []),
    ],
)
def test_what_the_command_line_does_is_told(app, alice, heard, command, told):
    heard()
    assert app.test_cli_runner().invoke(args=["users", *command], input=PASSWORD).exit_code == 0
    assert heard() == told


class TestReceiversThatFail:
    @pytest.fixture
    def failing(self, app):
        """For each signal one that raises, with a secret and an e-mail in its words, and one that then works."""
        worked = []

        def fail(sender, user):
            raise RuntimeError(f"{SECRET} {user.email}")

        def work(sender, user):
            worked.append(user.id)

        with contextlib.ExitStack() as stack:
            for signal in SIGNALS.values():
                for receiver in (fail, work):
                    stack.enter_context(connected(signal, receiver, app))
            yield worked

    def test_no_answer_changes_and_every_other_receiver_runs(self, client, failing):
        with captured_log() as log:
            alice = assert_ok(client.post("/users", json=PERSON), 201)["id"]
            headers = bearer(sign_in(client, ALICE)["token"])
            change = {"currentPassword": PASSWORD, "newPassword": NEW}
            assert_ok(client.put("/users/me/password", json=change, headers=headers))
            pair = sign_in(client, ALICE, NEW)
            ended(client.delete("/auth", headers=bearer(pair["token"])))
            headers = bearer(sign_in(client, ALICE, NEW)["token"])
            ended(client.delete("/users/me", json={"currentPassword": NEW}, headers=headers))
        assert failing == [alice] * 7
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        failures = [line for line in lines if line["event"] == "receiver_failed"]
        assert [line["signal"] for line in failures] == [
            "user_created", "signed_in", "password_changed", "signed_in", "signed_out", "signed_in", "user_deleted",
        ]  # fmt: skip
        for line in failures:
            assert (line["level"], line["error"]) == ("error", "RuntimeError")
            assert line["receiver"].endswith("fail")
            assert line["trace"][-1].startswith(f"{__file__}:")
            assert SECRET not in json.dumps(line)
            assert ALICE not in json.dumps(line)

    def test_the_command_line_succeeds_and_logs_it(self, app, failing):
        with captured_log() as log:
            created = app.test_cli_runner().invoke(args=["users", "create", ALICE, "--password-stdin"], input=PASSWORD)
        assert created.exit_code == 0
        assert len(failing) == 1
        assert "receiver_failed" in log.getvalue()
        assert ALICE not in log.getvalue()

    def test_a_refusal_or_an_answer_of_theirs_is_no_answer_of_ours(self, app, client):
        def abort(sender, user):
            current_app.aborter(409)

        with connected(user_created, abort, app):
            assert_ok(client.post("/users", json=PERSON), 201)

    def test_an_asynchronous_one_that_cannot_run_is_logged(self, app, client):
        async def receive(sender, user):
            raise AssertionError("asgiref is not among the packages of the tests")

        with captured_log() as log, connected(user_created, receive, app):
            assert_ok(client.post("/users", json=PERSON), 201)
        assert "receiver_failed" in log.getvalue()


def test_the_write_is_done_when_it_is_told(app, client, database):
    seen = []

    def look(sender, user):
        seen.append(store.find(user.id))

    with connected(user_created, look, app), connected(user_deleted, look, app):
        assert_ok(client.post("/users", json=PERSON), 201)
        headers = bearer(sign_in(client, ALICE)["token"])
        ended(client.delete("/users/me", json={"currentPassword": PASSWORD}, headers=headers))
    assert [user and user.email for user in seen] == [ALICE, None]


def test_only_the_app_whose_users_they_are_is_told(make_app):
    first, second = make_app(), make_app(USERS_COLLECTION="others")
    told = []

    def listen(sender, user):
        told.append(sender)

    with connected(user_created, listen, first):
        assert_ok(second.test_client().post("/users", json=PERSON), 201)
        assert told == []
        assert_ok(first.test_client().post("/users", json=PERSON), 201)
        assert told == [first]


def test_a_receiver_that_is_gone_is_forgotten(app, client):
    def connect():
        def listen(sender, user):
            raise AssertionError

        user_created.connect(listen, app)

    connect()
    gc.collect()
    with captured_log() as log:
        assert_ok(client.post("/users", json=PERSON), 201)
    assert "receiver_failed" not in log.getvalue()


@pytest.fixture
def host(settings, tmp_path):
    """An app with todos, which go with their owner."""
    app = Flask("host", instance_path=str(tmp_path))
    AuthService(app, url_prefix="/identity", **settings)
    app.todos = {}

    def make_first_todo(sender, user):
        sender.todos[user.id] = ["look around"]

    def delete_todos(sender, user):
        assert current_app._get_current_object() is sender is app
        g.anything = True  # an app context of the host's
        del sender.todos[user.id]

    with connected(user_created, make_first_todo, app), connected(user_deleted, delete_todos, app):
        yield app
    state_of(app).client.close()


def test_a_host_deletes_the_todos_of_who_is_deleted(host):
    client = host.test_client()
    for email in (ALICE, BOB):
        assert_ok(client.post("/identity/users", json={**PERSON, "email": email}), 201)
    alice = assert_ok(client.post("/identity/auth", json=PERSON))
    assert len(host.todos) == 2
    ended(client.delete("/identity/users/me", json={"currentPassword": PASSWORD}, headers=bearer(alice["token"])))
    assert len(host.todos) == 1
    assert alice["user"]["id"] not in host.todos
    assert host.test_cli_runner().invoke(args=["users", "delete", BOB, "--yes"]).exit_code == 0
    assert host.todos == {}


def test_a_receiver_in_a_host_has_the_request_as_the_host_sees_it(host):
    host.add_url_rule("/todos/<int:number>", "todo", lambda number: "")
    host.secret_key = SECRET
    seen = []

    @host.teardown_request
    def forget(error):
        seen.append("torn down")

    def link(sender, user):
        seen.extend([url_for("todo", number=1, _external=True), request.path, request.headers["X-Own"], dict(session)])

    with connected(user_created, link, host):
        client = host.test_client()
        with client.session_transaction(base_url="http://example.com") as visit:
            visit["language"] = "fr"
        seen.clear()
        headers = {"X-Own": "yes"}
        created = client.post("/identity/users", json=PERSON, headers=headers, base_url="http://example.com")
        assert_ok(created, 201)
    assert [one for one in seen if one != "torn down"] == [
        "http://example.com/todos/1", "/identity/users", "yes", {"language": "fr"},
    ]  # fmt: skip
    assert seen.count("torn down") == 2  # each receiver has a request of its own


def test_a_plain_log_of_a_host_shows_where_a_receiver_failed_and_not_its_words(host, caplog):
    def fail(sender, user):
        raise KeyError(user.email)

    with connected(user_created, fail, host):
        assert_ok(host.test_client().post("/identity/users", json=PERSON), 201)
    assert "in fail" in caplog.text
    assert "KeyError" in caplog.text
    assert ALICE not in caplog.text
