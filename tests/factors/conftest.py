"""An app with a key for second factors, which sends its mails to a real mail server."""

import pytest

from tests.conftest import ALICE, bearer
from tests.factors.enrolling import KEY, enrol


@pytest.fixture
def settings(settings, sink):
    return {**settings, **sink.settings, "ENCRYPTION_KEYS": KEY}


@pytest.fixture
def stored(database):
    """Alice's document, as it is now."""
    return lambda: database.users.find_one({"email": ALICE})


@pytest.fixture
def enrolled(client, alice):
    """Alice has turned two steps on: her secret, and what it answered."""
    return enrol(client, alice)


@pytest.fixture
def factors_of(client):
    return lambda token: client.get("/users/me/factors", headers=bearer(token)).get_json()
