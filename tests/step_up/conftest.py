"""What a session says of its sign-in, set in the database instead of waiting."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.answers import assert_ok
from tests.conftest import ALICE, sign_in


@pytest.fixture
def two_step(database):
    """Alice has a second step."""
    confirmed = {"$set": {"twoStep.totp.confirmedAt": datetime.now(UTC)}}
    assert database.users.update_one({"email": ALICE}, confirmed).modified_count == 1


@pytest.fixture
def token_of(client, alice, database):
    """``token_of(seconds, *amr)``: Alice's token of a sign-in so many seconds ago, by these methods.

    All are of one session, which began before anything that a test changes.
    """
    pair = sign_in(client, ALICE)

    def token(seconds, *amr):
        age_session(database, seconds, *amr)
        pair.update(assert_ok(client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})))
        return pair["token"]

    return token


def age_session(database, seconds, *amr):
    """Of her newest session."""
    sessions = database.users.find_one({"email": ALICE})["sessions"]
    path = f"sessions.{len(sessions) - 1}"
    said = {f"{path}.authenticatedAt": datetime.now(UTC) - timedelta(seconds=seconds), f"{path}.amr": [*amr]}
    assert database.users.update_one({"email": ALICE}, {"$set": said}).modified_count == 1
