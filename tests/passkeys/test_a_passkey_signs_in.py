"""A passkey signs in without e-mail and password, and counts as two factors. Every fault is the same 401."""

import copy
import os

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer
from tests.passkeys.authenticator import ELIGIBLE, PRESENT, VERIFIED, Passkey, encoded
from tests.passkeys.conftest import claims


def test_it_answers_as_a_sign_in_by_password_does(alice, enter, client):
    passkey = alice.add()
    by_password = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
    by_passkey = enter(passkey)
    assert assert_ok(by_passkey).keys() == assert_ok(by_password).keys()
    token = by_passkey.get_json()["token"]
    assert client.get("/users/test", headers=bearer(token)).status_code == 200
    refreshed = client.post("/auth/refresh", json={"refreshToken": by_passkey.get_json()["refreshToken"]})
    said, kept = claims(by_passkey), claims(refreshed)
    assert (said["amr"], said["acr"]) == (["swk", "user", "mfa"], "aal2")
    assert [kept[name] for name in ("amr", "acr", "auth_time")] == [said[name] for name in ("amr", "acr", "auth_time")]


def test_one_that_stays_on_its_device_is_hardware(alice, enter):
    passkey = Passkey()
    passkey.flags = PRESENT | VERIFIED
    assert claims(enter(alice.add(passkey)))["amr"] == ["hwk", "user", "mfa"]


def test_the_options_are_the_same_for_all_and_write_nothing(alice, options, client, database):
    alice.add()
    before = [*database.users.find()], sorted(database.list_collection_names())
    first, second = options(), options()
    assert first.pop("challenge") != second.pop("challenge")
    assert (
        first
        == second
        == {
            "rpId": "example.com",
            "timeout": 300_000,
            "allowCredentials": [],
            "userVerification": "required",
        }
    )
    assert client.post("/auth/passkey/options").status_code == 200
    assert_problem(
        client.post("/auth/passkey/options", json={"email": ALICE}),
        422,
        "validation_failed",
        ("/email", "unknown_field"),
    )
    assert before == ([*database.users.find()], sorted(database.list_collection_names()))


def test_cookie_mode_and_the_device_are_as_with_a_password(alice, enter, client):
    passkey = alice.add()
    in_cookie = assert_ok(enter(passkey, cookie=True))
    assert "refreshToken" not in in_cookie
    assert "deviceToken" not in in_cookie
    kept = assert_ok(enter(passkey))["deviceToken"]
    known = len(alice.stored()["devices"])
    assert assert_ok(enter(passkey, deviceToken=kept))["deviceToken"] == kept
    assert len(alice.stored()["devices"]) == known
    enter(passkey)
    assert len(alice.stored()["devices"]) == known + 1


def test_an_answer_signs_in_once(alice, enter, options):
    passkey = alice.add()
    older, newer = options(), options()
    answer = passkey.get(newer)
    assert_ok(enter(credential=answer))
    assert_problem(enter(credential=answer), 401, "credentials_invalid")
    assert_problem(enter(credential=passkey.get(newer)), 401, "credentials_invalid")
    assert_problem(enter(credential=passkey.get(older)), 401, "credentials_invalid")
    assert_ok(enter(passkey))
    assert alice.mails() == ["New way to confirm a sign-in at Example"]


def broken(credential, **response):
    changed = copy.deepcopy(credential)
    changed["response"].update(response)
    return changed


def test_every_fault_is_the_same_401(alice, bob, enter, options):
    mine, other = alice.add(), bob.add()
    bobs_handle = encoded(bob.id.binary)
    unknown = Passkey()
    unknown.user_handle = alice.id.binary
    stranger = copy.copy(mine)
    stranger.user_handle = os.urandom(12)
    unverified, elsewhere, framed = copy.copy(mine), copy.copy(mine), copy.copy(mine)
    unverified.flags = PRESENT | ELIGIBLE
    elsewhere.origin = "https://evil.example.com"
    framed.said = {"crossOrigin": True}
    faulty = {
        "unknown passkey": unknown.get(options()),
        "unknown user": stranger.get(options()),
        "another user's handle": broken(mine.get(options()), userHandle=bobs_handle),
        "no handle": broken(mine.get(options()), userHandle=None),
        "another signature": broken(mine.get(options()), signature=other.get(options())["response"]["signature"]),
        "of a registration": mine.get(alice.options()),
        "not verified": unverified.get(options()),
        "another origin": elsewhere.get(options()),
        "in a frame": framed.get(options()),
        "nothing": {},
        "odd": {"id": 5, "rawId": [], "response": "x", "type": None},
    }
    answers = {fault: enter(credential=credential) for fault, credential in faulty.items()}
    for fault, answer in answers.items():
        problem = assert_problem(answer, 401, "credentials_invalid")
        del problem["requestId"]
        assert problem == {
            "type": "urn:authservice:problem:credentials_invalid",
            "title": "Wrong e-mail or password",
            "status": 401,
            "detail": "No enabled account has this e-mail and password.",
            "code": "credentials_invalid",
        }, fault
    assert_ok(enter(mine))
    assert_ok(enter(other))


@pytest.mark.parametrize("body", [{}, {"credential": 5}, {"credential": None}, {"credential": "x"}, {"credential": []}])
def test_no_credential_is_a_fault_of_the_body(client, body):
    code = "required" if not body else "wrong_type"
    answer = client.post("/auth/passkey", json=body)
    assert_problem(answer, 422, "validation_failed", ("/credential", code))


def test_a_disabled_and_a_deleted_user_are_refused(alice, enter, options, database):
    passkey = alice.add()
    alice.set(disabledAt=alice.id.generation_time)
    assert_problem(enter(passkey), 401, "credentials_invalid")
    alice.set(disabledAt=None)
    assert_ok(enter(passkey))
    database.users.delete_one({"_id": alice.id})
    assert_problem(enter(passkey), 401, "credentials_invalid")


def test_who_has_not_proven_the_address_is_told_so(alice, make_app):
    passkey = alice.add()
    alice.client = make_app(REQUIRE_VERIFIED_EMAIL="on").test_client()
    options = assert_ok(alice.client.post("/auth/passkey/options", json={}))
    answer = alice.client.post("/auth/passkey", json={"credential": passkey.get(options)})
    assert_problem(answer, 403, "email_unverified")
    alice.set(emailVerifiedAt=alice.id.generation_time)
    options = assert_ok(alice.client.post("/auth/passkey/options", json={}))
    assert_ok(alice.client.post("/auth/passkey", json={"credential": passkey.get(options)}))


def test_a_backup_that_changes_is_kept_and_never_refused(alice, enter):
    passkey = alice.add()
    for flags, is_synced in ((0, False), (ELIGIBLE, False), (ELIGIBLE | 0x10, True)):
        passkey.flags = PRESENT | VERIFIED | flags
        assert claims(enter(passkey))["amr"][0] == ("swk" if is_synced else "hwk")
        (kept,) = alice.listed()
        assert kept["isSynced"] is is_synced


def test_a_counter_that_goes_back_is_refused_and_told(alice, enter, options, caplog):
    passkey = alice.add(Passkey(counts=True))
    copied = copy.copy(passkey)
    for count in (1, 2, 3):
        assert_ok(enter(passkey))
        assert alice.stored()["passkeys"][0]["signCount"] == count
    alice.mails()
    answer = copied.get(options())
    for _ in range(3):
        assert_problem(enter(credential=answer), 401, "credentials_invalid")
    assert alice.mails() == ["A passkey was refused at Example"]
    assert [record.outcome for record in caplog.records if record.msg == "use_passkey"] == ["counter_went_back"]
    forged = passkey.get(options())
    forged["response"]["authenticatorData"] = copied.get(options())["response"]["authenticatorData"]
    assert_problem(enter(credential=forged), 401, "credentials_invalid")
    assert alice.mails() == []  # the signature is not the passkey's
    assert_ok(enter(passkey))
    assert alice.stored()["passkeys"][0]["signCount"] == 5


@pytest.mark.parametrize(
    "passkeys",
    ["text", {"id": b"1"}, None, [5, "x", None, {}], [{"id": "text", "publicKey": "text"}], [[]]],
    ids=["text", "object", "null", "mixed", "texts", "nested"],
)
def test_what_another_stack_stores_counts_as_absent(alice, enter, passkeys):
    passkey = alice.add()
    (entry,) = alice.stored()["passkeys"]
    alice.set(passkeys=passkeys)
    assert alice.listed() == []
    assert_problem(enter(passkey), 401, "credentials_invalid")
    assert_problem(alice.rename(passkey, "x"), 404, "passkey_unknown")
    assert_problem(alice.delete(passkey), 404, "passkey_unknown")
    assert_ok(enter(alice.add()))
    assert len(alice.listed()) == 1
    alice.set(passkeys=[*(passkeys if isinstance(passkeys, list) else []), entry])
    assert_ok(enter(passkey))
