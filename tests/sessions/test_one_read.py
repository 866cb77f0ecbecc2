"""A guarded request is one read of the database, by _id and with a projection."""

import pytest

from tests.conftest import bearer
from tests.sessions.commands import Commands, heard


@pytest.fixture
def commands():
    """Every command that the service sends from here on."""
    with heard(Commands()) as commands:
        yield commands


@pytest.mark.parametrize("path", ["/users/test", "/users/me", "/auth/verify"])
def test_a_guarded_request_is_one_find_by_id_with_a_projection(commands, client, alice, path):
    assert client.get(path, headers=bearer(alice)).status_code in (200, 204)
    commands.seen.clear()
    assert client.get(path, headers=bearer(alice)).status_code in (200, 204)
    (command,) = commands.seen
    assert command["find"] == "users"
    assert "_id" in command["filter"]
    assert command["projection"]
    assert "password" not in command["projection"]
