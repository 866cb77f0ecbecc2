"""auth_time, amr and acr of an access token are those of its session, and a refresh leaves them as they are."""

from datetime import UTC, datetime

import jwt
import pytest

from tests.api.answers import assert_ok
from tests.conftest import ALICE, PASSWORD, bearer, make_account, sign_in

LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
TWO_FACTORS = ["pwd", "otp", "mfa"]


@pytest.fixture
def pair(client, alice):
    return sign_in(client, ALICE)


def said(pair):
    claims = jwt.decode(pair["token"], options={"verify_signature": False})
    return claims["auth_time"], claims["amr"], claims["acr"]


def set_session(database, change):
    assert database.users.update_one({"sessions.1": {"$exists": True}}, change).modified_count == 1


def refresh(client, pair):
    return assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]}))


def test_a_sign_in_with_a_password_says_now_and_pwd(client, database):
    make_account(client, ALICE)
    before = int(datetime.now(UTC).timestamp())
    auth_time, amr, acr = said(sign_in(client, ALICE))
    assert before <= auth_time <= datetime.now(UTC).timestamp()
    assert (amr, acr) == (["pwd"], "aal1")
    (session,) = database.users.find_one()["sessions"]
    assert session["authenticatedAt"] == session["createdAt"]
    assert session["amr"] == ["pwd"]


def test_a_refresh_says_what_the_session_says(client, database, pair):
    set_session(database, {"$set": {"sessions.1.authenticatedAt": LONG_AGO, "sessions.1.amr": TWO_FACTORS}})
    expected = int(LONG_AGO.timestamp()), TWO_FACTORS, "aal2"
    refreshed = refresh(client, pair)
    assert said(refreshed) == expected
    assert said(refresh(client, pair)) == expected  # the same pair again
    assert said(refresh(client, refreshed)) == expected
    session = database.users.find_one()["sessions"][1]
    assert (session["authenticatedAt"], session["amr"]) == (LONG_AGO, TWO_FACTORS)


@pytest.mark.parametrize(
    "change",
    [
        {"$unset": {"sessions.1.authenticatedAt": "", "sessions.1.amr": ""}},
        {"$set": {"sessions.1.authenticatedAt": "yesterday", "sessions.1.amr": "mfa"}},
        {"$set": {"sessions.1.authenticatedAt": None, "sessions.1.amr": {"mfa": True}}},
    ],
)
def test_a_session_from_before_began_with_a_password(client, database, pair, change):
    set_session(database, {"$set": {"sessions.1.createdAt": LONG_AGO}})
    set_session(database, change)
    assert said(refresh(client, pair)) == (int(LONG_AGO.timestamp()), ["pwd"], "aal1")


def test_a_changed_password_proves_no_second_factor(client, database, pair):
    set_session(database, {"$set": {"sessions.1.authenticatedAt": LONG_AGO, "sessions.1.amr": TWO_FACTORS}})
    body = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
    changed = assert_ok(client.put("/users/me/password", json=body, headers=bearer(pair["token"])))
    assert said(changed) == (int(LONG_AGO.timestamp()), TWO_FACTORS, "aal2")
