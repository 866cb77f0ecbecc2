"""A passkey is the second step of a sign-in by password, and steps up a session: only one of the user's own."""

import copy

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer
from tests.passkeys.authenticator import PRESENT, VERIFIED, Passkey
from tests.passkeys.conftest import claims
from tests.second_steps.conftest import KEY, assert_required, assert_wrong, begin, code, enrol, second


@pytest.fixture
def settings(settings):
    return {**settings, "ENCRYPTION_KEYS": KEY}


@pytest.fixture
def passkey(alice, app, database):
    """One of Alice, who has two steps on."""
    passkey = alice.add()
    enrol(app, database, ALICE)
    return passkey


def step_up(account, **proof):
    return account.client.post("/auth/step-up", json=proof, headers=account.headers)


def begun(client):
    """The continuation of Alice's right password."""
    answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
    return assert_required(answer, ("totp", "recoveryCode", "passkey"))["continuation"]


def test_it_is_offered_and_finishes_a_sign_in(alice, passkey, client, options):
    before = len(alice.stored()["sessions"])
    answer = second(client, begun(client), passkey=passkey.get(options()))
    said = claims(answer)
    assert (said["amr"], said["acr"]) == (["pwd", "swk", "user", "mfa"], "aal2")
    assert len(alice.stored()["sessions"]) == before + 1


def test_an_answer_is_good_for_one_step(alice, passkey, client, options, enter):
    answer = passkey.get(options())
    assert_ok(second(client, begun(client), passkey=answer))
    assert_wrong(second(client, begun(client), passkey=answer))
    assert_wrong(step_up(alice, passkey=answer))
    assert_problem(enter(credential=answer), 401, "credentials_invalid")
    answer = passkey.get(options())
    assert_ok(enter(credential=answer))
    assert_wrong(step_up(alice, passkey=answer))


def test_another_users_passkey_is_refused(alice, bob, passkey, client, options):
    bobs = bob.add()
    disguised = copy.copy(bobs)
    disguised.user_handle = alice.id.binary
    for one in (bobs, disguised):
        assert_wrong(second(client, begun(client), passkey=one.get(options())))
        assert_wrong(step_up(alice, passkey=one.get(options())))
    assert_ok(step_up(bob, passkey=bobs.get(options())))
    assert_ok(step_up(alice, passkey=passkey.get(options())))


@pytest.mark.parametrize("odd", [{}, {"id": "AAAA"}, {"response": []}, {"type": "public-key", "response": {}}])
def test_an_odd_one_is_wrong(alice, passkey, client, odd):
    assert_wrong(second(client, begun(client), passkey=odd))
    assert_wrong(step_up(alice, passkey=odd))
    for path in ("/auth/second", "/auth/step-up"):
        answer = client.post(path, json={"continuation": "x", "passkey": "x"}, headers=alice.headers)
        assert answer.status_code == 422


def test_it_steps_up_the_session(alice, client, options):
    passkey = Passkey()
    passkey.flags = PRESENT | VERIFIED
    alice.add(passkey)
    answer = step_up(alice, passkey=passkey.get(options()))
    said = claims(answer)
    assert (said["amr"], said["acr"]) == (["pwd", "hwk", "user", "mfa"], "aal2")
    assert said["sid"] == alice.stored()["sessions"][0]["id"]
    alice.headers = bearer(answer.get_json()["token"])
    assert alice.rename(passkey, "mine").status_code == 204


def test_one_alone_stays_without_the_password(alice, options, enter):
    passkey = alice.add()
    alice.headers = bearer(assert_ok(enter(passkey))["token"])
    assert claims(step_up(alice, passkey=passkey.get(options())))["amr"] == ["swk", "user", "mfa"]


def test_a_sign_in_by_it_is_asked_for_no_second_step(alice, passkey, enter):
    answer = enter(passkey)
    assert claims(answer)["amr"] == ["swk", "user", "mfa"]
    alice.headers = bearer(answer.get_json()["token"])
    assert alice.rename(passkey, "mine").status_code == 204


def test_a_passkey_alone_turns_no_second_step_on(alice, client):
    alice.add()
    assert_ok(client.post("/auth", json={"email": ALICE, "password": PASSWORD}))


def test_it_opens_what_too_many_wrong_codes_have_closed(alice, passkey, client, options):
    alice.set(**{"twoStep.failures": 100})
    assert_problem(second(client, begun(client), totp=code()), 429, "too_many_attempts")
    assert_ok(second(client, begun(client), passkey=passkey.get(options())))
    assert (alice.stored()["twoStep"]["failures"], alice.stored()["twoStep"]["blockedUntil"]) == (0, None)


def test_where_passkeys_are_off_none_is_offered_or_taken(alice, passkey, options, make_app):
    answer = passkey.get(options())
    client = make_app(PASSKEY_RP_ID=None, PASSKEY_ORIGINS=None).test_client()
    assert_wrong(second(client, begin(client), passkey=answer))
