"""Your own account: change the password, delete the account."""

import bcrypt
import pytest

from authservice.security import passwords
from tests.conftest import ALICE, PASSWORD, bearer, sign_in

NEW_PASSWORD = "an even longer secret"


def put_password(client, token, current, new):
    body = {"currentPassword": current, "newPassword": new}
    return client.put("/users/me/password", json=body, headers=bearer(token))


def test_a_new_password_starts_a_new_session_and_nothing_older_passes(client, alice, database):
    """Even the session that changed it ends: a thief may share that session."""
    own, other = sign_in(client, ALICE), sign_in(client, ALICE)
    changed_before = database.users.find_one({})["passwordChangedAt"]
    answer = put_password(client, own["token"], PASSWORD, NEW_PASSWORD)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    for older in (own, other):
        assert client.get("/users/test", headers=bearer(older["token"])).status_code == 401
        assert client.post("/auth/refresh", json={"refreshToken": older["refreshToken"]}).status_code == 401
    assert client.get("/users/test", headers=bearer(alice)).status_code == 401
    assert client.post("/auth", json={"email": ALICE, "password": PASSWORD}).status_code == 401
    assert database.users.find_one({})["passwordChangedAt"] > changed_before
    pair = answer.get_json()
    assert pair.keys() == own.keys() - {"deviceToken"}
    assert client.get("/users/test", headers=bearer(pair["token"])).status_code == 200
    (session,) = client.get("/auth/sessions", headers=bearer(pair["token"])).get_json()["sessions"]
    assert session["current"]
    assert client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}).status_code == 200
    assert sign_in(client, ALICE, NEW_PASSWORD)


def while_it_hashes(monkeypatch, act):
    """Run ``act`` once, between the check of the current password and the write of the new one."""
    hash_password = passwords.hash_password

    def hash_and_act(*args):
        act()
        return hash_password(*args)

    monkeypatch.setattr(passwords, "hash_password", hash_and_act)


def test_a_session_that_is_ended_meanwhile_changes_no_password(client, alice, database, monkeypatch):
    while_it_hashes(monkeypatch, lambda: database.users.update_one({}, {"$set": {"sessions": []}}))
    answer = put_password(client, alice, PASSWORD, NEW_PASSWORD)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token_invalid")
    assert sign_in(client, ALICE)


def test_a_hash_that_is_renewed_meanwhile_is_checked_again(client, alice, database, monkeypatch):
    renewed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    while_it_hashes(monkeypatch, lambda: database.users.update_one({}, {"$set": {"password": renewed}}))
    assert put_password(client, alice, PASSWORD, NEW_PASSWORD).status_code == 200
    assert sign_in(client, ALICE, NEW_PASSWORD)


def test_a_wrong_current_password_changes_nothing_and_signs_nobody_out(client, alice):
    answer = put_password(client, alice, "not my password", NEW_PASSWORD)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "password_wrong")
    assert "WWW-Authenticate" not in answer.headers
    assert sign_in(client, ALICE)
    assert client.get("/users/test", headers=bearer(alice)).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"currentPassword": PASSWORD, "newPassword": "short"}, "/newPassword", "too_short"),
        ({"currentPassword": PASSWORD}, "/newPassword", "required"),
        ({"currentPassword": None, "newPassword": NEW_PASSWORD}, "/currentPassword", "wrong_type"),
    ],
)
def test_a_new_password_follows_the_rules_of_sign_up(client, alice, body, pointer, code):
    answer = client.put("/users/me/password", json=body, headers=bearer(alice))
    assert answer.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in answer.get_json()["errors"]] == [(pointer, code)]


def test_the_last_admin_cannot_leave_before_there_is_another(client, alice, database):
    body = {"currentPassword": PASSWORD}
    assert database.users.update_one({}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    refused = client.delete("/users/me", json=body, headers=bearer(alice))
    assert (refused.status_code, refused.get_json()["code"]) == (409, "last_admin")
    assert client.get("/users/test", headers=bearer(alice)).status_code == 200
    database.users.insert_one({"email": "bob@example.com", "password": "x", "roles": ["admin"]})
    assert client.delete("/users/me", json=body, headers=bearer(alice)).status_code == 204


def test_deleting_the_account_leaves_nothing(client, alice, database):
    refused = client.delete("/users/me", json={"currentPassword": "not my password"}, headers=bearer(alice))
    assert (refused.status_code, refused.get_json()["code"]) == (403, "password_wrong")
    deleted = client.delete("/users/me", json={"currentPassword": PASSWORD}, headers=bearer(alice))
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert database.users.count_documents({}) == 0
    assert client.get("/users/test", headers=bearer(alice)).status_code == 401
    assert client.post("/users", json={"email": ALICE, "password": PASSWORD}).status_code == 201
