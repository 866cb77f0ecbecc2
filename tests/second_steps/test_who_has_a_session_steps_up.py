"""POST /auth/step-up: a proof within a session makes its tokens say so; with two steps on, the password is none."""

import time

import jwt
import pytest

from authservice.security import passwords
from tests.api.answers import assert_ok, assert_problem, assert_step_up_required
from tests.conftest import ALICE, BOB, PASSWORD, bearer, make_account, sign_in
from tests.second_steps.conftest import RECOVERY_CODES, begin, code, enrol, second, sessions_of
from tests.step_up.conftest import age_session


def step_up(client, token, **proof):
    return client.post("/auth/step-up", json=proof, headers=bearer(token))


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture
def aged(client, alice, database):
    """Alice's refresh token, of a session of an hour ago, and without a second step."""
    pair = sign_in(client, ALICE)
    age_session(database, 3_600, "pwd")
    return assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))


def test_the_password_makes_a_session_recent(client, aged):
    answer = assert_ok(step_up(client, aged["token"], password=PASSWORD))
    assert answer.keys() == {"token", "expiresIn"}
    before, after = claims(aged["token"]), claims(answer["token"])
    assert after["sid"] == before["sid"]
    assert before["auth_time"] < time.time() - 3_500
    assert time.time() - 60 < after["auth_time"] <= time.time()
    assert (after["amr"], after["acr"]) == (["pwd"], "aal1")
    assert answer["expiresIn"] == after["exp"] - after["iat"] == 3_600
    for token in (aged["token"], answer["token"]):
        assert client.get("/users/test", headers=bearer(token)).status_code == 200
    refreshed = assert_ok(client.post("/auth/refresh", json={"refreshToken": aged["refreshToken"]}))
    assert claims(refreshed["token"])["auth_time"] == after["auth_time"]


def test_a_wrong_password_changes_nothing_and_costs_what_it_costs_elsewhere(make_app, aged, database):
    client, before = make_app(LIMITS="on", LIMIT_PASSWORD_CHECK="2/1h").test_client(), sessions_of(database)
    for _ in range(2):
        assert_problem(step_up(client, aged["token"], password="wrong password"), 403, "password_wrong")
    assert_problem(step_up(client, aged["token"], password=PASSWORD), 429, "too_many_attempts")
    assert sessions_of(database) == before


def test_with_two_steps_on_the_password_alone_does_not_do(client, aged, app, database, monkeypatch):
    enrol(app, database, ALICE)
    monkeypatch.setattr(passwords, "check_password", None)  # nor does it tell whether the password is right
    for password in (PASSWORD, "wrong password"):
        assert_step_up_required(step_up(client, aged["token"], password=password), max_age=None, acr="aal2")


@pytest.mark.parametrize("proof", [{"totp": code()}, {"recoveryCode": RECOVERY_CODES[0]}], ids=["totp", "recovery"])
def test_a_factor_makes_two_of_one(client, aged, app, database, proof):
    enrol(app, database, ALICE)
    answer = assert_ok(step_up(client, aged["token"], **proof))
    assert (claims(answer["token"])["amr"], claims(answer["token"])["acr"]) == (["pwd", "otp", "mfa"], "aal2")
    session = sessions_of(database)[-1]
    assert (session["id"], session["amr"]) == (claims(aged["token"])["sid"], ["pwd", "otp", "mfa"])


def test_other_sessions_stay_as_they_are(client, alice, aged, database):
    before = sessions_of(database)[0]
    assert_ok(step_up(client, aged["token"], password=PASSWORD))
    assert sessions_of(database)[0] == before


def test_it_is_bobs_session_and_alices_code(client, aged, app, database):
    enrol(app, database, ALICE)
    make_account(client, BOB)
    bob = sign_in(client, BOB)["token"]
    for proof in ({"totp": code()}, {"recoveryCode": RECOVERY_CODES[0]}):
        assert_problem(step_up(client, bob, **proof), 401, "second_factor_wrong")
    assert "twoStep" not in database.users.find_one({"email": BOB})
    assert_ok(step_up(client, aged["token"], totp=code()))


@pytest.mark.parametrize("proof", [{}, {"totp": "1", "password": PASSWORD}, {"continuation": "x", "totp": "1"}])
def test_exactly_one_proof_is_taken(client, aged, proof):
    assert step_up(client, aged["token"], **proof).status_code == 422


def test_a_session_that_has_ended_steps_up_no_more(client, aged, app, database):
    enrol(app, database, ALICE)
    database.users.update_one({"email": ALICE}, {"$set": {"sessions": []}})
    assert_problem(step_up(client, aged["token"], totp=code()), 401, "token_invalid")


def test_a_session_that_ends_meanwhile_is_not_brought_back(client, aged, app, database, monkeypatch):
    enrol(app, database, ALICE)
    from authservice.auth import pairs

    pair = pairs.pair

    def pair_slowly(*given):
        database.users.update_one({"email": ALICE}, {"$set": {"sessions": []}})
        return pair(*given)

    monkeypatch.setattr(pairs, "pair", pair_slowly)
    assert_problem(step_up(client, aged["token"], totp=code()), 401, "second_factor_wrong")
    assert sessions_of(database) == []


def test_a_password_that_is_being_renewed_is_no_obstacle(client, aged, database, monkeypatch):
    """As a sign-in of another device renews the hash between the check and the write."""
    from authservice.store import sessions

    find, new_hashes = sessions.find, ["$2b$04$" + "a" * 53]

    def find_slowly(*given):
        if new_hashes:
            kept = database.users.find_one({"email": ALICE})["password"]
            database.users.update_one({"email": ALICE}, {"$set": {"password": new_hashes.pop()}})
            monkeypatch.setattr(sessions, "authenticate_again", once(kept))
        return find(*given)

    write = sessions.authenticate_again

    def once(kept):
        def write_and_put_back(*given):
            written = write(*given)
            database.users.update_one({"email": ALICE}, {"$set": {"password": kept}})
            monkeypatch.setattr(sessions, "authenticate_again", write)
            return written

        return write_and_put_back

    monkeypatch.setattr(sessions, "find", find_slowly)
    assert_ok(step_up(client, aged["token"], password=PASSWORD))


def test_a_refresh_token_and_a_stranger_step_up_nothing(client, aged):
    for token in (aged["refreshToken"], "x"):
        assert_problem(step_up(client, token, password=PASSWORD), 401, "token_invalid")
    assert_problem(client.post("/auth/step-up", json={"password": PASSWORD}), 401, "token_missing")


def test_a_cookie_steps_up_nothing(client, enrolled):
    client.set_cookie("__Host-refresh", assert_ok(second(client, begin(client), totp=code(-1)))["refreshToken"])
    answer = client.post("/auth/step-up", json={"totp": code()}, headers={"X-Requested-With": "x"})
    assert_problem(answer, 401, "token_missing")
