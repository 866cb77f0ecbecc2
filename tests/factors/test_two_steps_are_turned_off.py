"""Two steps are turned off by their user; a role may forbid it."""

import pytest

from tests.api.answers import assert_problem
from tests.conftest import bearer, sign_in
from tests.factors.enrolling import code_of, confirm, enrol, set_up

PASSKEY = {"id": b"id", "publicKey": b"key", "signCount": 0, "challengeAt": 0, "name": "x"}


@pytest.fixture
def settings(settings):
    return {**settings, "SECOND_FACTOR_ROLES": "admin"}


def remove(client, token):
    return client.delete("/users/me/totp", headers=bearer(token))


def test_app_and_recovery_codes_go_and_passkeys_stay(client, enrolled, database, stored, factors_of):
    database.users.update_one({}, {"$set": {"passkeys": [PASSKEY]}})
    token = enrolled[1]["token"]
    assert remove(client, token).status_code == 204
    assert "twoStep" not in stored()
    assert stored()["passkeys"] == [PASSKEY]
    assert factors_of(token) == {"totp": None, "recoveryCodes": 0, "passkeys": 1}
    assert sign_in(client, "alice@example.com")["token"]  # by the password alone, as before


def test_it_may_be_repeated_and_ends_what_waits(client, alice, stored):
    secret = set_up(client, alice)
    for _ in range(2):
        assert remove(client, alice).status_code == 204
        assert "twoStep" not in stored()
    assert_problem(confirm(client, alice, code_of(secret)), 403, "code_invalid")
    assert "mails" not in stored()


def test_a_session_that_has_ended_changes_nothing(client, enrolled, stored, database):
    token = enrolled[1]["token"]
    database.users.update_one({}, {"$set": {"sessions": []}})
    assert_problem(remove(client, token), 401, "token_invalid")
    assert "totp" in stored()["twoStep"]


def test_a_role_that_needs_a_second_factor_keeps_it(client, alice, database, stored):
    database.users.update_one({}, {"$set": {"roles": ["admin"]}})
    _, answer = enrol(client, alice)  # it may do that at aal1
    assert_problem(remove(client, answer["token"]), 409, "second_factor_needed")
    assert "totp" in stored()["twoStep"]
    database.users.update_one({}, {"$set": {"passkeys": [PASSKEY]}})
    assert remove(client, answer["token"]).status_code == 204


@pytest.mark.parametrize("foreign", [{"0": 1}, "x", [7], [{"id": None}], []])
def test_what_another_stack_keeps_as_passkeys_is_none(client, alice, database, foreign):
    database.users.update_one({}, {"$set": {"roles": ["admin"], "passkeys": foreign}})
    _, answer = enrol(client, alice)
    assert_problem(remove(client, answer["token"]), 409, "second_factor_needed")
