"""A continuation is good for five minutes, for its user and password, and for nothing but the second step."""

import time
from datetime import UTC, datetime

import jwt
import pytest
from bson import Int64

from authservice.security import continuations
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, SECRET, bearer, make_account
from tests.second_steps.conftest import RECOVERY_CODES, assert_wrong, begin, code, enrol, second, sessions_of

NEW_PASSWORD = "an even longer secret"


@pytest.fixture
def bob(client, app, database, enrolled):
    """Bob has two steps too, with another secret."""
    make_account(client, BOB)
    enrol(app, database, BOB, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")


@pytest.mark.parametrize(("seconds", "is_good"), [(295, True), (301, False), (-3, True), (-60, False)])
def test_it_is_good_for_five_minutes(client, enrolled, monkeypatch, seconds, is_good):
    continuation, later = begin(client), time.time() + seconds
    monkeypatch.setattr(continuations.time, "time", lambda: later)
    answer = second(client, continuation, totp=code())
    monkeypatch.undo()
    assert answer.status_code == (200 if is_good else 401)


def test_it_may_be_tried_again_after_a_wrong_code(client, enrolled):
    continuation = begin(client)
    assert_wrong(second(client, continuation, totp="000000" if code() != "000000" else "000001"))
    assert_ok(second(client, continuation, totp=code()))


@pytest.mark.parametrize(
    "change",
    [
        {"$set": {"disabledAt": datetime.now(UTC)}},
        {"$set": {"password": "$2b$04$" + "a" * 53}},
        {"$unset": {"password": ""}},
        {"$unset": {"twoStep.totp.confirmedAt": ""}},
    ],
)
def test_a_change_of_the_account_ends_it(client, enrolled, database, change):
    continuation = begin(client)
    assert database.users.update_one({"email": ALICE}, change).modified_count == 1
    for proof in ({"totp": code()}, {"recoveryCode": RECOVERY_CODES[0]}):
        assert_wrong(second(client, continuation, **proof))
    assert sessions_of(database) == []


def test_a_changed_password_ends_it(client, enrolled):
    token = assert_ok(second(client, begin(client), totp=code(-1)))["token"]
    continuation = begin(client)
    body = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    assert_ok(client.put("/users/me/password", json=body, headers=bearer(token)))
    assert_wrong(second(client, continuation, totp=code()))
    assert_ok(second(client, begin(client, password=NEW_PASSWORD), totp=code()))


@pytest.mark.parametrize("proof", [{"totp": code()}, {"recoveryCode": RECOVERY_CODES[0]}], ids=["totp", "recovery"])
@pytest.mark.parametrize(
    "change",
    [
        {"$set": {"password": "$2b$04$" + "a" * 53}},
        {"$set": {"disabledAt": datetime.now(UTC)}},
        {"$set": {"twoStep": {"totp": {"secret": "of another phone", "lastStep": Int64(0)}, "recoveryCodes": []}}},
        {"$unset": {"twoStep": ""}},
    ],
    ids=["password", "disabled", "another app", "turned off"],
)
def test_a_change_at_the_last_moment_ends_it(client, enrolled, database, after_judging, change, proof):
    """The write judges again."""
    continuation = begin(client)
    after_judging(lambda: database.users.update_one({"email": ALICE}, change))
    assert_wrong(second(client, continuation, **proof))
    assert sessions_of(database) == []


def test_a_deleted_account_ends_it(client, enrolled, database):
    continuation = begin(client)
    database.users.delete_one({"email": ALICE})
    assert_wrong(second(client, continuation, totp=code()))


def test_it_is_for_its_user_alone(client, bob, database):
    """Alice's code does not do for Bob, and what Bob's continuation costs is Bob's."""
    assert_wrong(second(client, begin(client, BOB), totp=code()))
    assert sessions_of(database, BOB) == sessions_of(database, ALICE) == []
    assert "failures" not in database.users.find_one({"email": ALICE})["twoStep"]


def test_it_is_no_token(client, enrolled):
    continuation = begin(client)
    assert "." not in continuation
    assert_problem(client.get("/users/test", headers=bearer(continuation)), 401, "token_invalid")
    assert_problem(client.post("/auth/refresh", json={"refreshToken": continuation}), 401, "token_invalid")
    assert_problem(client.delete("/auth", headers=bearer(continuation)), 401, "token_invalid")
    answer = client.post("/auth/step-up", json={"totp": code()}, headers=bearer(continuation))
    assert_problem(answer, 401, "token_invalid")


def test_no_token_is_one(client, app, bob):
    pair = assert_ok(second(client, begin(client), totp=code(-1)))
    forged = jwt.encode({"sub": pair["user"]["id"], "type": "continuation"}, SECRET)
    for token in (pair["token"], pair["refreshToken"], pair["deviceToken"], forged):
        assert_wrong(second(client, token, totp=code()))


@pytest.mark.parametrize("place", [0, 10, 30, -1, -10])
def test_every_character_counts(client, enrolled, place):
    continuation = begin(client)
    changed = [*continuation]
    changed[place] = "A" if changed[place] != "A" else "B"
    assert_wrong(second(client, "".join(changed), totp=code()))


def test_another_secret_makes_another_one(client, enrolled, make_app):
    other = make_app(JWT_SECRET_KEY="another-secret-for-the-same-users-of-the-tests").test_client()
    assert_wrong(second(client, begin(other), totp=code()))


def test_an_old_secret_verifies_it(client, enrolled, make_app):
    continuation = begin(client)
    newer = make_app(JWT_SECRET_KEY="a-new-secret-for-the-same-users-of-the-tests!", JWT_OLD_SECRET_KEYS=SECRET)
    assert_ok(second(newer.test_client(), continuation, totp=code()))


def test_it_tells_no_secret(client, enrolled, database):
    user = database.users.find_one({"email": ALICE})
    continuation = begin(client)
    assert str(user["_id"]) in continuation
    for secret in (user["password"], PASSWORD, ALICE, user["twoStep"]["totp"]["secret"]):
        assert secret not in continuation


@pytest.mark.parametrize("keys", [None, "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="])
def test_without_the_key_of_the_secret_nobody_gets_in_by_password_and_recovery_codes_do(
    make_app, enrolled, database, keys
):
    client = make_app(ENCRYPTION_KEYS=keys).test_client()
    answer = second(client, begin(client), totp=code())
    assert (answer.status_code, answer.get_json()["code"]) == (503, "second_factor_unavailable")
    assert sessions_of(database) == []
    assert "failures" not in database.users.find_one({"email": ALICE})["twoStep"]
    assert_ok(second(client, begin(client), recoveryCode="aaaa-bbbb-cccc-dddd"))


@pytest.mark.parametrize("totp", [{"secret": 1}, {"lastStep": "0"}, {"secret": None}])
def test_a_secret_of_another_shape_lets_nobody_in(client, enrolled, database, totp):
    (name, value) = next(iter(totp.items()))
    database.users.update_one({"email": ALICE}, {"$set": {f"twoStep.totp.{name}": value}})
    answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
    assert_problem(
        answer,
        401,
        "second_factor_required",
        continuation=answer.get_json()["continuation"],
        expiresIn=300,
        methods=["recoveryCode"],
    )
    assert_wrong(second(client, answer.get_json()["continuation"], totp=code()))
