"""Apps that send mails to a real mail server, and users whose address is not proven yet."""

from datetime import datetime, timedelta

import pytest

from tests.api.answers import assert_ok
from tests.conftest import ALICE, PASSWORD, bearer, sign_in
from tests.mail.sink import code_in, token_in

VERIFICATION = "/users/me/email/verification"


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings}


@pytest.fixture
def alice(client):
    """Alice's access token. The mail waits that asks her to prove the address."""
    return sign_up(client, ALICE)


@pytest.fixture
def mailed(client, alice, deliver, sink):
    """Token and code of the mail that Alice got when she signed up."""
    assert deliver() == 1
    to, mail = sink.only()
    assert to == ALICE
    return token_in(mail), code_in(mail)


def ask(client, token, **headers):
    answer = client.post(VERIFICATION, headers={**bearer(token), **headers})
    assert (answer.status_code, answer.data) == (202, b"")


def prove(client, access_token, **given):
    return client.put(VERIFICATION, json=given, headers=bearer(access_token))


def is_proven(database, email=ALICE):
    return isinstance(database.users.find_one({"email": email}).get("emailVerifiedAt"), datetime)


def refill(database):
    """Give all budgets of mails back, as time does."""
    database.limits.delete_many({})


def make_older(database, minutes, email=ALICE):
    at = database.users.find_one({"email": email})["verification"]["at"] - timedelta(minutes=minutes)
    database.users.update_one({"email": email}, {"$set": {"verification.at": at}})


def sign_up(client, email, password=PASSWORD):
    """The access token of a new user."""
    assert_ok(client.post("/users", json={"email": email, "password": password}), 201)
    return sign_in(client, email, password)["token"]
