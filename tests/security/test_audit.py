"""Every security event says who did what to whose account, over HTTP or the command line, with our request id."""

import json
import os
import pwd
import re

import pytest

from authservice.security import passwords
from tests.api.answers import assert_ok, captured_log
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, SECRET, bearer, sign_in
from tests.server.processes import run

OWN_ID = re.compile(r"[0-9a-f]{32}")
NEW = "an even longer secret"


@pytest.fixture
def bob(client, database):
    """The id and the headers of Bob, who is an admin."""
    created = assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)
    assert database.users.update_one({"email": BOB}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    return created["id"], bearer(sign_in(client, BOB)["token"])


@pytest.fixture
def events(client):
    """Send a request; the security events that it logs, each as (event, outcome, actorId, targetId)."""

    def ask(method, path, **more):
        with captured_log() as log:
            answer = client.open(path, method=method, **more)
        assert answer.status_code < 500
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        (request,) = [line for line in lines if line["event"] == "request"]
        found = [line for line in lines if "actorId" in line]
        for line in found:
            assert (line["via"], line["ip"]) == ("http", "127.0.0.1")
            assert line["requestId"] == request["requestId"] == answer.headers["X-Request-Id"]
            assert OWN_ID.fullmatch(line["requestId"])
        return [(line["event"], line["outcome"], line["actorId"], line["targetId"]) for line in found]

    return ask


def test_who_acts_on_the_own_account_is_actor_and_target(client, events):
    credentials = {"email": ALICE, "password": PASSWORD}
    ((*told, actor, target),) = events("POST", "/users", json=credentials)
    alice = target
    assert (told, actor) == (["sign_up", "ok"], alice)
    assert events("POST", "/users", json=credentials) == [("sign_up", "email_taken", None, alice)]
    assert events("POST", "/auth", json=credentials) == [("sign_in", "ok", alice, alice)]
    wrong = {**credentials, "password": "wrong"}
    assert events("POST", "/auth", json=wrong) == [("sign_in", "refused", None, alice)]
    assert events("POST", "/auth", json={**wrong, "email": CHARLIE}) == [("sign_in", "refused", None, None)]
    pair, other = sign_in(client, ALICE), sign_in(client, ALICE)
    refresh = {"refreshToken": pair["refreshToken"]}
    assert events("POST", "/auth/refresh", json=refresh) == [("refresh", "ok", alice, alice)]
    assert events("POST", "/auth/refresh", json=refresh) == [("refresh", "again", alice, alice)]
    mine = bearer(pair["token"])
    sessions = client.get("/auth/sessions", headers=mine).get_json()["sessions"]
    (third,) = {session["id"] for session in sessions[1:]} - {sessions[0]["id"], sessions[1]["id"]}
    path = f"/auth/sessions/{third}"
    assert events("DELETE", path, headers=mine) == [("sign_out", "ok", alice, alice)]
    assert events("DELETE", "/auth", headers=bearer(other["token"])) == [("sign_out", "ok", alice, alice)]
    assert events("DELETE", "/auth/sessions?scope=others", headers=mine) == [("sign_out", "others", alice, alice)]
    change = {"currentPassword": "wrong", "newPassword": NEW}
    wrong_check = [("check_password", "refused", alice, alice)]
    assert events("PUT", "/users/me/password", json=change, headers=mine) == wrong_check
    change["currentPassword"] = PASSWORD
    assert events("PUT", "/users/me/password", json=change, headers=mine) == [("change_password", "ok", alice, alice)]
    mine = bearer(sign_in(client, ALICE, NEW)["token"])
    deleted = events("DELETE", "/users/me", json={"currentPassword": NEW}, headers=mine)
    assert deleted == [("delete_account", "ok", alice, alice)]


def test_who_takes_over_a_browser_is_the_actor_of_the_sign_out(client, alice, bob, events):
    by_cookie = {"json": {"email": ALICE, "password": PASSWORD, "cookie": True}, "base_url": "https://localhost"}
    assert client.post("/auth", **by_cookie).status_code == 200
    alice_id = assert_ok(client.get("/users/me", headers=bearer(alice)))["id"]
    by_cookie["json"]["email"] = BOB
    found = events("POST", "/auth", headers={"X-Requested-With": "x"}, **by_cookie)
    assert found == [("sign_in", "ok", bob[0], bob[0]), ("sign_out", "replaced", bob[0], alice_id)]


def test_a_password_that_changes_nothing_any_more_is_told(client, alice, database, events, monkeypatch):
    alice_id = assert_ok(client.get("/users/me", headers=bearer(alice)))["id"]
    hash_password = passwords.hash_password

    def hash_and_end_the_session(*args):
        database.users.update_one({}, {"$set": {"sessions": []}})
        return hash_password(*args)

    monkeypatch.setattr(passwords, "hash_password", hash_and_end_the_session)
    change = {"currentPassword": PASSWORD, "newPassword": NEW}
    found = events("PUT", "/users/me/password", json=change, headers=bearer(alice))
    assert found == [("change_password", "refused", alice_id, alice_id)]


def test_an_admin_is_named_beside_the_account_that_was_changed(client, alice, bob, events):
    bob_id, headers = bob
    alice_id = assert_ok(client.get("/users/me", headers=bearer(alice)))["id"]
    path = f"/admin/users/{alice_id}"
    both = (bob_id, alice_id)
    assert events("PATCH", path, json={"roles": ["editor"]}, headers=headers) == [("change_user", "ok", *both)]
    assert events("DELETE", f"{path}/sessions", headers=headers) == [("end_sessions", "ok", *both)]
    assert events("DELETE", path, headers=headers) == [("delete", "ok", *both)]


def test_the_id_that_a_client_chose_stands_beside_the_services_own(client, alice):
    with captured_log() as log:
        answer = client.post(
            "/auth", json={"email": ALICE, "password": PASSWORD}, headers={"X-Request-Id": "chosen-by-the-client"}
        )
    for line in map(json.loads, log.getvalue().splitlines()):
        assert (line["requestId"], line["clientRequestId"]) == (answer.headers["X-Request-Id"], "chosen-by-the-client")
        assert OWN_ID.fullmatch(line["requestId"])


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (["grant", ALICE, "editor"], "grant"),
        (["revoke", ALICE, "editor"], "revoke"),
        (["end-sessions", ALICE], "end_sessions"),
        (["set-password", ALICE, "--password-stdin"], "set_password"),
        (["disable", ALICE], "disable"),
        (["enable", ALICE], "enable"),
        (["delete", ALICE, "--yes"], "delete"),
    ],
)
def test_the_command_line_writes_its_events_to_stderr(client, alice, mongo_uri, arguments, event):
    alice_id = assert_ok(client.get("/users/me", headers=bearer(alice)))["id"]
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    done = run("flask", "--app", "wsgi", "users", *arguments, stdin=PASSWORD, **environment)
    assert done.returncode == 0
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["outcome"], line["via"]) == (event, "ok", "cli")
    assert (line["actorId"], line["targetId"]) == (None, alice_id)
    assert line["operator"] == pwd.getpwuid(os.geteuid()).pw_name
    assert OWN_ID.fullmatch(line["requestId"])
