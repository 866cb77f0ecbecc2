"""A sign-in that only renews the hash leaves the time of the last change alone, and the links that depend on it."""

from datetime import UTC, datetime, timedelta

import bcrypt
import pytest

from tests.api.answers import assert_problem
from tests.conftest import ALICE, PASSWORD, sign_in
from tests.mail.sink import token_in
from tests.resets.test_resets import ask, assert_new_password, reset

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OF_ANOTHER_STACK = {}
OF_LOWER_COST = {"passwordChangedAt": THEN}


@pytest.fixture
def settings(settings):
    return {**settings, "BCRYPT_LOG_ROUNDS": 5}


@pytest.fixture(params=[OF_ANOTHER_STACK, OF_LOWER_COST])
def stored(request, database):
    """A user whose hash is renewed at the next sign-in."""
    user = {"email": ALICE, "password": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(), **request.param}
    database.users.insert_one(user)
    return user


def test_the_time_of_the_change_stays(client, database, stored):
    before = datetime.now(UTC) - timedelta(seconds=1)
    sign_in(client, ALICE)
    user = database.users.find_one()
    assert user["password"] != stored["password"]
    assert user.get("passwordChangedAt") == stored.get("passwordChangedAt")
    assert before <= user["passwordRenewedAt"] <= datetime.now(UTC)


def test_it_is_renewed_once(client, database, stored):
    sign_in(client, ALICE)
    renewed = database.users.find_one()
    sign_in(client, ALICE)
    user = database.users.find_one()
    assert (user["password"], user["passwordRenewedAt"]) == (renewed["password"], renewed["passwordRenewedAt"])


def test_a_link_from_before_stays_good(client, database, stored, deliver, sink):
    ask(client)
    assert deliver() == 1
    sign_in(client, ALICE)
    assert reset(client, token=token_in(sink.only()[1])).status_code == 204
    assert_new_password(client)


def test_a_link_that_is_sent_after_it_is_good(client, database, stored, deliver, sink):
    ask(client)
    sign_in(client, ALICE)
    assert deliver() == 1
    assert reset(client, token=token_in(sink.only()[1])).status_code == 204


def test_what_is_beyond_72_bytes_counts_after_it(client, database):
    """Other stacks cut passwords there. A renewed hash is no longer checked by their rules."""
    database.users.insert_one({"email": ALICE, "password": bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()})
    sign_in(client, ALICE, "a" * 80)
    shorter = client.post("/auth", json={"email": ALICE, "password": "a" * 72})
    assert_problem(shorter, 401, "credentials_invalid")
    sign_in(client, ALICE, "a" * 80)
