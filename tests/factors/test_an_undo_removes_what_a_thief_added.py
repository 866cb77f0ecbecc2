"""Who takes an account back by the link of the old address keeps the own factors, and the thief's are gone."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import ALICE, PASSWORD, bearer
from tests.email_changes.conftest import join
from tests.factors.enrolling import enrol, set_up

__all__ = ["join"]
THIEF = "thief@evil.example.com"


@pytest.fixture
def owner(join):
    return join(ALICE)


def token_of(account):
    return account.headers["Authorization"].partition(" ")[2]


def passkey(name, **after):
    return {"id": name.encode(), "name": name, "createdAt": datetime.now(UTC) + timedelta(**after)}


def change(account):
    """The address is the thief's from now on, and all that is there was there before."""
    undo = account.change(THIEF)
    later = datetime.now(UTC) + timedelta(milliseconds=2)
    while datetime.now(UTC) < later:
        pass
    return undo


def use(account, answer):
    """With the token of an enrolment."""
    account.headers = bearer(answer["token"])


def test_an_app_that_was_there_before_stays_with_its_codes(owner):
    _, answer = enrol(owner.client, token_of(owner))
    use(owner, answer)
    owner.database.users.update_one({}, {"$set": {"passkeys": [passkey("mine", days=-1)]}})
    before = owner.stored()
    undo = change(owner)
    set_up(owner.client, answer["token"])  # the thief has begun to replace the app
    owner.database.users.update_one({}, {"$push": {"passkeys": passkey("thief")}})
    assert owner.undo(undo).status_code == 204
    after = owner.stored()
    assert (after["twoStep"], after["passkeys"]) == (before["twoStep"], before["passkeys"])
    assert (after["email"], after["password"], after["sessions"]) == (ALICE, "!", [])


@pytest.mark.parametrize("is_replaced", [False, True])
def test_an_app_that_was_added_after_is_gone(owner, is_replaced):
    if is_replaced:
        use(owner, enrol(owner.client, token_of(owner))[1])
    undo = change(owner)
    enrol(owner.client, token_of(owner))
    assert owner.undo(undo).status_code == 204
    assert "twoStep" not in owner.stored()
    assert owner.stored()["email"] == ALICE


def test_new_recovery_codes_are_void_and_the_app_stays(owner):
    use(owner, enrol(owner.client, token_of(owner))[1])
    undo = change(owner)
    assert owner.client.post("/users/me/recovery-codes", headers=owner.headers).status_code == 200
    assert owner.undo(undo).status_code == 204
    two_step = owner.stored()["twoStep"]
    assert "recoveryCodes" not in two_step
    assert "secret" in two_step["totp"]


@pytest.mark.parametrize("foreign", [None, "x", 7, [], {"totp": 7}, [{"createdAt": 7}]])
def test_what_another_stack_stored_keeps_nobody_out(owner, foreign):
    undo = owner.change(THIEF)
    owner.database.users.update_one({}, {"$set": {"twoStep": foreign, "passkeys": foreign}})
    assert owner.undo(undo).status_code == 204
    assert owner.stored()["email"] == ALICE
    assert PASSWORD not in str(owner.stored())
