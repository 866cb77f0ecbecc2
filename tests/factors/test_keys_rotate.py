"""A new key in front of FLASK_ENCRYPTION_KEYS signs nobody out; a key that is gone lets nobody in."""

import pytest

from authservice.security import encryption
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, PASSWORD
from tests.factors.enrolling import KEY, NEW_KEY, code_of


def begin(client):
    answer = client.post("/auth", json={"email": ALICE, "password": PASSWORD})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "second_factor_required")
    return answer.get_json()["continuation"]


def second(client, **proof):
    return client.post("/auth/second", json={"continuation": begin(client), **proof})


def test_an_old_key_behind_a_new_one_still_reads(make_app, enrolled, stored):
    """Until the user signs in: then the new key alone will do."""
    (secret, _), before = enrolled, stored()["twoStep"]["totp"]["secret"]
    assert_ok(second(make_app(ENCRYPTION_KEYS=f"{NEW_KEY},{KEY}").test_client(), totp=code_of(secret, 1)))
    renewed = stored()["twoStep"]["totp"]["secret"]
    assert renewed != before
    with make_app(ENCRYPTION_KEYS=NEW_KEY).app_context():
        assert encryption.decrypt(str(stored()["_id"]), renewed) == secret


def test_the_newest_key_writes_nothing_anew(client, enrolled, stored):
    secret, before = enrolled[0], stored()["twoStep"]["totp"]["secret"]
    assert_ok(second(client, totp=code_of(secret, 1)))
    assert stored()["twoStep"]["totp"]["secret"] == before


@pytest.mark.parametrize("keys", [NEW_KEY, None])
def test_without_its_key_a_code_is_refused_and_the_password_alone_too(make_app, enrolled, stored, keys):
    client, (secret, answer) = make_app(ENCRYPTION_KEYS=keys).test_client(), enrolled
    before = stored()
    with captured_log() as log:
        assert_problem(second(client, totp=code_of(secret, 1)), 503, "second_factor_unavailable")
    assert secret not in log.getvalue()
    assert stored()["twoStep"] == before["twoStep"]  # no attempt is taken
    assert len(stored()["sessions"]) == len(before["sessions"])
    assert_ok(second(client, recoveryCode=answer["recoveryCodes"][0]))


def test_the_secret_of_another_user_is_useless(client, enrolled, database, app):
    """Who writes to the database cannot give Alice a secret of Bob's."""
    secret, _ = enrolled
    with app.app_context():
        planted = encryption.encrypt("b" * 24, secret)
    database.users.update_one({"email": ALICE}, {"$set": {"twoStep.totp.secret": planted}})
    assert_problem(second(client, totp=code_of(secret, 1)), 503, "second_factor_unavailable")
