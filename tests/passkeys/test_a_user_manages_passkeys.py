"""A user adds, names and deletes passkeys, soon after a sign-in, and is told by mail."""

import copy
import time
from datetime import datetime

import pytest

from tests.api.answers import assert_ok, assert_problem, assert_step_up_required
from tests.conftest import ALICE, bearer, sign_in
from tests.passkeys.authenticator import PRESENT, VERIFIED, Passkey, encoded

LABEL = "Werkzeug"


def test_a_passkey_is_kept_with_its_name_and_told(alice):
    passkey = Passkey()
    added = assert_ok(alice.post(passkey.create(alice.options()), name="My phone"), 201)
    assert alice.listed() == [added]
    assert datetime.fromisoformat(added.pop("createdAt")).tzinfo
    assert added == {
        "id": encoded(passkey.id),
        "name": "My phone",
        "isSynced": True,
        "transports": ["internal", "hybrid"],
        "lastUsedAt": None,
    }
    assert alice.mails() == ["New way to confirm a sign-in at Example"]
    assert alice.stored()["passkeys"][0].keys() == {
        "id",
        "publicKey",
        "signCount",
        "challengeAt",
        "name",
        "transports",
        "isSynced",
        "createdAt",
        "lastUsedAt",
    }


def test_its_use_is_shown(alice, enter):
    assert_ok(enter(alice.add()))
    (shown,) = alice.listed()
    assert datetime.fromisoformat(shown["lastUsedAt"]) >= datetime.fromisoformat(shown["createdAt"])


def test_without_a_name_it_has_that_of_the_browser(alice):
    alice.add()
    assert alice.listed()[0]["name"] == LABEL


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "too_short"), ("  ", "too_short"), ("x" * 65, "too_long"), ("a\nb", "invalid_character"), (5, "wrong_type")],
    ids=["empty", "blank", "long", "line", "number"],
)
def test_no_name(alice, name, code):
    passkey = alice.add()
    assert_problem(alice.rename(passkey, name), 422, "validation_failed", ("/name", code))
    created = Passkey().create(alice.options())
    assert_problem(alice.post(created, name=name), 422, "validation_failed", ("/name", code))


def test_a_passkey_is_renamed(alice, bob):
    passkey, other = alice.add(), alice.add()
    assert alice.rename(passkey, "Schlüssel 🔑").status_code == 204
    assert alice.rename(passkey, "Schlüssel 🔑").status_code == 204
    assert [one["name"] for one in alice.listed()] == ["Schlüssel 🔑", LABEL]
    assert_problem(bob.rename(other, "mine"), 404, "passkey_unknown")


def test_a_deleted_one_signs_in_no_more_and_is_told(alice, bob, enter):
    passkey, other = alice.add(), alice.add()
    alice.mails()
    assert_problem(bob.delete(passkey), 404, "passkey_unknown")
    assert alice.delete(passkey).status_code == 204
    assert_problem(alice.delete(passkey), 404, "passkey_unknown")
    assert alice.mails() == ["Less protection of your account at Example"]
    assert_problem(enter(passkey), 401, "credentials_invalid")
    assert_ok(enter(other))
    assert alice.delete(other).status_code == 204
    assert alice.listed() == []


@pytest.mark.parametrize("id", ["x", "AAAA=", "A", "%00", "a" * 3_000])
def test_an_id_that_is_none(alice, id):
    for answer in (
        alice.client.delete(f"/users/me/passkeys/{id}", headers=alice.headers),
        alice.client.patch(f"/users/me/passkeys/{id}", json={"name": "x"}, headers=alice.headers),
    ):
        assert_problem(answer, 404, "passkey_unknown")


def test_a_device_that_has_one_makes_no_second(alice):
    passkey = alice.add()
    (excluded,) = alice.options()["excludeCredentials"]
    assert excluded == {"type": "public-key", "id": encoded(passkey.id), "transports": ["internal", "hybrid"]}


def test_a_registration_counts_once(alice, bob):
    passkey, options = Passkey(), alice.options()
    created = passkey.create(options)
    assert_ok(alice.post(created), 201)
    assert_problem(alice.post(created), 409, "passkey_known")
    assert_problem(alice.post(passkey.create(alice.options())), 409, "passkey_known")
    assert_problem(alice.post(Passkey().create(options)), 403, "passkey_invalid")
    assert alice.delete(passkey).status_code == 204
    assert_problem(alice.post(created), 403, "passkey_invalid")
    assert_problem(bob.post(Passkey().create(alice.options())), 403, "passkey_invalid")
    assert alice.listed() == bob.listed() == []


def test_two_users_of_one_device_do_not_meet(alice, bob, enter):
    passkey = alice.add()
    same = copy.copy(passkey)
    bob.add(same)
    assert assert_ok(enter(passkey))["user"]["email"] == ALICE
    assert assert_ok(enter(same))["user"]["email"] == bob.email


def test_a_faulty_registration_is_refused(alice):
    for fault in (
        {"origin": "https://evil.example.com"},
        {"said": {"crossOrigin": True}},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"rp_id": "evil.example"},
        {"attestation": {"fmt": "unknown", "attStmt": {}}},
    ):
        passkey = Passkey()
        vars(passkey).update(fault)
        assert_problem(alice.post(passkey.create(alice.options())), 403, "passkey_invalid")
    for odd in ({}, {"id": 5}, {"response": {"clientDataJSON": "e30"}}, {"id": "AA", "rawId": "AA", "response": {}}):
        assert_problem(alice.post(odd), 403, "passkey_invalid")
    assert_problem(alice.post("x"), 422, "validation_failed", ("/credential", "wrong_type"))
    assert alice.listed() == []


def test_there_are_at_most_ten(alice):
    spare = Passkey().create(alice.options())
    for _ in range(10):
        last = alice.add()
    created = alice.post(spare)
    assert_problem(created, 409, "passkeys_full")
    answer = alice.client.post("/users/me/passkeys/options", json={}, headers=alice.headers)
    assert_problem(answer, 409, "passkeys_full")
    assert alice.delete(last).status_code == 204
    alice.add()
    assert len(alice.listed()) == 10


def test_the_last_way_in_stays(alice, enter):
    passkey, other = alice.add(), alice.add()
    alice.set(password="!")  # as after an undone change of the e-mail
    assert alice.delete(other).status_code == 204
    alice.mails()
    assert_problem(alice.delete(passkey), 409, "last_way_in")
    assert alice.mails() == []
    assert_ok(enter(passkey))
    alice.database.users.update_one({"_id": alice.id}, {"$push": {"passkeys": {"id": "another stack's"}}})
    assert_problem(alice.delete(passkey), 409, "last_way_in")
    alice.add()
    assert alice.delete(passkey).status_code == 204


def test_changes_need_a_recent_sign_in(alice, client, monkeypatch):
    passkey = alice.add()
    created = Passkey().create(alice.options())
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment + 601)
    assert_step_up_required(client.post("/users/me/passkeys/options", json={}, headers=alice.headers))
    assert_step_up_required(alice.post(created))
    assert_step_up_required(alice.rename(passkey, "x"))
    assert_step_up_required(alice.delete(passkey))
    assert len(alice.listed()) == 1


def test_a_session_that_has_ended_adds_none(alice, client):
    headers = bearer(sign_in(client, ALICE)["token"])
    created = Passkey().create(alice.options())
    assert client.delete("/auth", headers=alice.headers).status_code == 204
    assert_problem(alice.post(created), 401, "token_invalid")
    alice.headers = headers
    assert alice.listed() == []


def test_without_the_settings_there_is_no_such_route(make_app):
    client = make_app(PASSKEY_RP_ID=None, PASSKEY_ORIGINS=None).test_client()
    for method, path in (
        ("POST", "/auth/passkey"),
        ("POST", "/auth/passkey/options"),
        ("GET", "/users/me/passkeys"),
        ("POST", "/users/me/passkeys"),
        ("POST", "/users/me/passkeys/options"),
        ("PATCH", "/users/me/passkeys/AAAA"),
        ("DELETE", "/users/me/passkeys/AAAA"),
    ):
        assert_problem(client.open(path, method=method, json={}), 404, "not_found")


def test_who_must_have_a_second_factor_can_begin_with_a_passkey(alice, make_app, enter):
    alice.client = make_app(SECOND_FACTOR_ROLES="admin").test_client()
    alice.set(roles=["admin"])
    passkey = alice.add()
    assert_step_up_required(alice.client.get("/users/me/passkeys", headers=alice.headers), max_age=None, acr="aal2")
    assert_step_up_required(alice.rename(passkey, "x"), max_age=None, acr="aal2")
    assert_step_up_required(alice.delete(passkey), max_age=None, acr="aal2")
    alice.headers = bearer(assert_ok(enter(passkey))["token"])
    assert len(alice.listed()) == 1


def test_a_role_that_needs_a_second_factor_keeps_the_last_one(alice, make_app, enter, app, database):
    alice.client = make_app(SECOND_FACTOR_ROLES="admin").test_client()
    passkey = alice.add()
    alice.headers = bearer(assert_ok(enter(passkey))["token"])
    alice.set(roles=["admin"])
    assert_problem(alice.delete(passkey), 409, "second_factor_needed")
    alice.set(password="!")
    assert_problem(alice.delete(passkey), 409, "last_way_in")
    other = alice.add()
    assert alice.delete(other).status_code == 204
    alice.set(password="hash", twoStep={"totp": {"confirmedAt": alice.id.generation_time}})
    assert alice.delete(passkey).status_code == 204
