"""With two steps on, the right password starts no session: it is answered with a continuation to the second step."""

import bcrypt
import pytest

from authservice.auth import starting
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, make_account
from tests.second_steps.conftest import assert_required, assert_wrong, begin, code, enrol, second, sessions_of


def sign_in(client, email=ALICE, password=PASSWORD, headers=None, **more):
    return client.post("/auth", json={"email": email, "password": password, **more}, headers=headers)


@pytest.mark.parametrize("by_cookie", [False, True])
def test_the_password_alone_starts_nothing(client, enrolled, database, by_cookie):
    answer = sign_in(client, cookie=by_cookie)
    assert_required(answer)
    assert "Set-Cookie" not in answer.headers
    user = database.users.find_one({"email": ALICE})
    assert user["sessions"] == []
    assert "devices" not in user


def test_the_second_step_answers_as_a_sign_in(client, enrolled, database):
    make_account(client, BOB)
    usual = assert_ok(sign_in(client, BOB))
    answer = assert_ok(second(client, begin(client), totp=code()))
    assert answer.keys() == usual.keys()
    assert answer["user"]["email"] == ALICE
    assert client.get("/users/test", headers=bearer(answer["token"])).status_code == 200
    (session,) = sessions_of(database)
    assert session["amr"] == ["pwd", "otp", "mfa"]


def test_a_cookie_is_set_by_the_second_step(client, enrolled):
    answer = client.post("/auth/second", json={"continuation": begin(client), "totp": code(), "cookie": True})
    body = assert_ok(answer)
    assert "refreshToken" not in body
    assert "deviceToken" not in body
    assert [cookie.split("=")[0] for cookie in answer.headers.getlist("Set-Cookie")] == [
        "__Host-refresh",
        "__Host-device",
    ]


def test_the_device_is_known_from_then_on(client, enrolled, database):
    first = assert_ok(second(client, begin(client), totp=code(-1)))
    again = begin(client, deviceToken=first["deviceToken"])
    kept = assert_ok(second(client, again, totp=code(), deviceToken=first["deviceToken"]))
    assert kept["deviceToken"] == first["deviceToken"]
    (device,) = database.users.find_one({"email": ALICE})["devices"]
    assert {session["deviceId"] for session in sessions_of(database)} == {device["id"]}


@pytest.mark.parametrize("password", ["wrong password", PASSWORD[:-1]])
def test_a_wrong_password_is_told_alike_with_and_without_a_second_step(client, enrolled, password):
    make_account(client, BOB)
    told = set()
    for email in (ALICE, BOB):
        answer = sign_in(client, email, password)
        request_id = assert_problem(answer, 401, "credentials_invalid")["requestId"]
        told.add(answer.text.replace(request_id, ""))
    assert len(told) == 1


def test_a_disabled_user_gets_no_continuation(client, enrolled, database):
    database.users.update_one({"email": ALICE}, {"$set": {"disabledAt": 1}})
    assert_problem(sign_in(client), 401, "credentials_invalid")


def test_a_cheap_or_legacy_hash_is_renewed_before_the_second_step(client, enrolled, database):
    legacy = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    unset = {"passwordChangedAt": "", "passwordRenewedAt": ""}
    database.users.update_one({"email": ALICE}, {"$set": {"password": legacy}, "$unset": unset})
    continuation = begin(client)
    user = database.users.find_one({"email": ALICE})
    assert user["password"] != legacy
    assert "passwordRenewedAt" in user
    assert_ok(second(client, continuation, totp=code()))


@pytest.mark.parametrize(
    "proof", [{}, {"totp": "123456", "recoveryCode": "x"}, {"password": PASSWORD}, {"totp": None}, {"totp": 123456}]
)
def test_exactly_one_proof_is_taken(client, enrolled, proof):
    assert second(client, begin(client), **proof).status_code == 422


def test_the_address_must_be_proven_first(make_app, enrolled, database, sink):
    client = make_app(**sink.settings, REQUIRE_VERIFIED_EMAIL="on").test_client()
    assert_problem(sign_in(client), 403, "email_unverified")


def test_a_right_password_costs_nothing(make_app, enrolled):
    client = make_app(LIMITS="on", LIMIT_SIGN_IN_ACCOUNT="2/1h").test_client()
    for _ in range(4):
        begin(client)


def test_two_steps_that_were_turned_off_meanwhile_are_no_way_in(client, enrolled, database):
    continuation = begin(client)
    database.users.update_one({"email": ALICE}, {"$unset": {"twoStep": ""}})
    assert_wrong(second(client, continuation, totp=code()))


def test_two_steps_that_are_turned_on_meanwhile_are_asked_for(client, app, database, monkeypatch):
    """Between the look at the account and the write of the session there is a slow hash."""
    make_account(client, ALICE)
    start = starting.start

    def enrol_first(*args, **kwargs):
        monkeypatch.undo()
        enrol(app, database, ALICE)
        return start(*args, **kwargs)

    monkeypatch.setattr(starting, "start", enrol_first)
    begin(client)
    assert sessions_of(database) == []
