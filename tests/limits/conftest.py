"""What the tests of the limits share: here they are on."""

import pytest


@pytest.fixture
def settings(settings, database):
    # SecantusDB 0.7.0b3 can hang when two clients create a collection at once.
    database.create_collection("limits")
    return {**settings, "LIMITS": "on"}
