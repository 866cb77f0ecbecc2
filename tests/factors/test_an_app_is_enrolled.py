"""Two steps are on once a code of the app has come back; not before, and not by any other code."""

import json
import threading
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import jwt
import pyotp
import pytest

from authservice.security import recovery_codes
from authservice.store.clock import now
from tests.api.answers import assert_ok, assert_problem, assert_step_up_required
from tests.conftest import ALICE, BOB, PASSWORD, bearer, make_account, sign_in
from tests.factors.enrolling import code_of, confirm, enrol, set_up, wrong_code

OFF = {"totp": None, "recoveryCodes": 0, "passkeys": 0}


def test_a_secret_comes_as_text_uri_and_picture_and_changes_nothing(client, alice, factors_of):
    answer = client.post("/users/me/totp", headers=bearer(alice))
    shown = assert_ok(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert shown.keys() == {"secret", "uri", "svg"}
    app = pyotp.parse_uri(shown["uri"])
    assert (app.secret, app.name, app.issuer) == (shown["secret"], ALICE, "Example")
    assert ElementTree.fromstring(shown["svg"]).tag.endswith("svg")
    assert factors_of(alice) == OFF
    assert sign_in(client, ALICE)["token"]


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_turns_two_steps_on(client, alice, factors_of, stored, monkeypatch, steps):
    secret, moment = set_up(client, alice), now()
    monkeypatch.setattr("authservice.factors.service.now", lambda: moment)  # or a step may end meanwhile
    answer = confirm(client, alice, pyotp.TOTP(secret).at(moment, counter_offset=steps))
    body = assert_ok(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert body.keys() == {"recoveryCodes", "token", "expiresIn"}
    assert len({*body["recoveryCodes"]}) == 10
    factors = factors_of(alice)
    assert datetime.now(UTC) - datetime.fromisoformat(factors["totp"]["enrolledAt"]) < timedelta(minutes=1)
    assert factors == {**OFF, "totp": factors["totp"], "recoveryCodes": 10}
    two_step = stored()["twoStep"]
    assert two_step.keys() == {"totp", "recoveryCodes", "recoveryCodesAt", "failures", "blockedUntil"}
    assert two_step["recoveryCodes"] == [recovery_codes.hash_of(code) for code in body["recoveryCodes"]]


def test_the_code_is_spent_by_the_enrolment(client, alice, stored):
    secret = set_up(client, alice)
    code = code_of(secret)
    assert_ok(confirm(client, alice, code))
    assert pyotp.TOTP(secret).generate_otp(stored()["twoStep"]["totp"]["lastStep"]) == code
    shown = client.post("/auth", json={"email": ALICE, "password": PASSWORD}).get_json()["continuation"]
    again = client.post("/auth/second", json={"continuation": shown, "totp": code})
    assert_problem(again, 401, "second_factor_wrong")


@pytest.mark.parametrize("steps", [-3, 3])
def test_an_early_or_late_code_is_refused(client, alice, factors_of, steps):
    secret = set_up(client, alice)
    assert_problem(confirm(client, alice, code_of(secret, steps)), 403, "code_invalid")
    assert factors_of(alice) == OFF


def test_five_codes_are_compared_and_no_more(client, alice, factors_of):
    secret = set_up(client, alice)
    for _ in range(5):
        assert_problem(confirm(client, alice, wrong_code(secret)), 403, "code_invalid")
    assert_problem(confirm(client, alice, code_of(secret)), 403, "code_invalid")
    assert factors_of(alice) == OFF
    enrol(client, alice)  # it may start again


def test_of_many_confirmations_at_once_one_succeeds(app, alice, client):
    secret = set_up(client, alice)
    code, answers = code_of(secret), []
    threads = [
        threading.Thread(target=lambda: answers.append(confirm(app.test_client(), alice, code).status_code))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers)[:2] != [200, 200]
    assert answers.count(200) == 1


def test_a_set_up_is_good_for_15_minutes(client, alice, database):
    secret = set_up(client, alice)
    database.users.update_one({}, {"$set": {"twoStep.pendingTotp.at": datetime.now(UTC) - timedelta(minutes=16)}})
    assert_problem(confirm(client, alice, code_of(secret)), 403, "code_invalid")


def test_a_new_set_up_replaces_the_one_before(client, alice):
    first, second = set_up(client, alice), set_up(client, alice)
    assert_problem(confirm(client, alice, code_of(first)), 403, "code_invalid")
    assert_ok(confirm(client, alice, code_of(second)))


def test_nothing_waits_before_and_after(client, alice, enrolled):
    make_account(client, BOB)
    bob = sign_in(client, BOB)["token"]
    assert_problem(confirm(client, bob, "123456"), 403, "code_invalid")
    secret, answer = enrolled
    assert_problem(confirm(client, answer["token"], code_of(secret)), 403, "code_invalid")


def test_another_user_cannot_confirm_it(client, alice):
    make_account(client, BOB)
    secret = set_up(client, alice)
    assert_problem(confirm(client, sign_in(client, BOB)["token"], code_of(secret)), 403, "code_invalid")


def test_the_session_has_two_factors_at_once(client, alice, enrolled, stored):
    """So its new token passes where the old one does not any more."""
    _, answer = enrolled
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    before = jwt.decode(alice, options={"verify_signature": False})
    assert (claims["amr"], claims["acr"], claims["sid"]) == (["pwd", "otp", "mfa"], "aal2", before["sid"])
    assert claims["auth_time"] >= before["auth_time"]
    assert answer["expiresIn"] == 3600
    assert stored()["sessions"][0]["amr"] == ["pwd", "otp", "mfa"]
    for call in (client.delete, client.post):
        assert_step_up_required(call("/users/me/totp", headers=bearer(alice)), acr="aal2")
    assert_ok(client.post("/users/me/recovery-codes", headers=bearer(answer["token"])))


def test_a_new_phone_replaces_the_old_one_by_its_first_code(client, enrolled, stored):
    old, answer = enrolled
    codes = stored()["twoStep"]["recoveryCodes"]
    secret = set_up(client, answer["token"])
    assert stored()["twoStep"]["recoveryCodes"] == codes  # nothing has changed yet
    assert_problem(confirm(client, answer["token"], code_of(old)), 403, "code_invalid")
    again = assert_ok(confirm(client, answer["token"], code_of(secret)))
    assert {*stored()["twoStep"]["recoveryCodes"]}.isdisjoint(codes)
    claims = jwt.decode(again["token"], options={"verify_signature": False})
    assert claims["amr"] == ["pwd", "otp", "mfa"]


def test_it_needs_a_recent_sign_in(client, database):
    make_account(client, ALICE)
    pair = sign_in(client, ALICE)
    database.users.update_one({}, {"$set": {"sessions.0.authenticatedAt": datetime.now(UTC) - timedelta(hours=1)}})
    old = client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}).get_json()["token"]
    for method, path in (
        ("POST", "totp"),
        ("PUT", "totp"),
        ("DELETE", "totp"),
        ("POST", "recovery-codes"),
    ):
        assert_step_up_required(client.open(f"/users/me/{path}", method=method, json={}, headers=bearer(old)))
    assert_ok(client.get("/users/me/factors", headers=bearer(old)))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, ("/code", "required")),
        ({"code": 123456}, ("/code", "wrong_type")),
        ({"code": None}, ("/code", "wrong_type")),
    ],
)
def test_a_malformed_body_takes_no_guess(client, alice, stored, body, fault):
    set_up(client, alice)
    assert_problem(client.put("/users/me/totp", json=body, headers=bearer(alice)), 422, "validation_failed", fault)
    assert stored()["twoStep"]["pendingTotp"]["guesses"] == 0


def test_nobody_enrols_without_a_key(make_app, alice, stored):
    client = make_app(ENCRYPTION_KEYS=None).test_client()
    assert_problem(client.post("/users/me/totp", headers=bearer(alice)), 409, "second_factors_off")
    assert "twoStep" not in stored()


@pytest.mark.parametrize(
    "foreign",
    [
        *(None, True, "x", 7, [], {}, {"totp": "x"}),
        [{"totp": {"confirmedAt": datetime.now(UTC)}}],
        {"totp": [{"confirmedAt": datetime.now(UTC)}]},
    ],
)
def test_what_another_stack_stored_makes_room(client, alice, database, factors_of, foreign):
    database.users.update_one({}, {"$set": {"twoStep": foreign, "passkeys": foreign}})
    assert factors_of(alice) == OFF
    sign_in(client, ALICE)
    enrol(client, alice)
    assert factors_of(alice)["recoveryCodes"] == 10


def test_a_set_up_at_the_end_of_time_is_no_crash(client, alice, database):
    odd = {"pendingTotp": {"secret": "x", "at": datetime.max.replace(tzinfo=UTC), "guesses": 5}}
    database.users.update_one({}, {"$set": {"twoStep": odd}})
    assert confirm(client, alice, "123456").status_code in (403, 503)


def test_what_another_stack_stored_inside_is_no_factor(client, alice, database, factors_of):
    odd = {"totp": {"secret": 7, "confirmedAt": "x"}, "pendingTotp": [], "recoveryCodes": {"a": 1}, "failures": "x"}
    database.users.update_one({}, {"$set": {"twoStep": odd, "passkeys": [7, {"id": "x"}, None]}})
    assert factors_of(alice) == OFF
    enrol(client, alice)


def test_nothing_secret_is_shown(client, alice, enrolled, stored):
    secret, answer = enrolled
    written = json.dumps(
        [stored()["twoStep"], client.get("/users/me/factors", headers=bearer(alice)).text], default=str
    )
    for hidden in (secret, *answer["recoveryCodes"], *(code.replace("-", "") for code in answer["recoveryCodes"])):
        assert hidden not in written
