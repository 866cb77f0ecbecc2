"""What docs/operations.md says of a back-up: it brings ended sessions back, and a new secret ends them for good."""

import pytest

from tests.conftest import ALICE, PASSWORD, bearer, sign_in

NEW_SECRET = "the-secret-after-the-restore-of-a-back-up"


@pytest.fixture
def restored(client, database, alice):
    """A refresh token of Alice's whose session ended after the back-up, which has been restored."""
    refresh = {"refreshToken": sign_in(client, ALICE)["refreshToken"]}
    backup = list(database.users.find())
    assert client.delete("/auth/sessions?scope=all", headers=bearer(alice)).status_code == 204
    assert client.post("/auth/refresh", json=refresh).status_code == 401
    database.users.delete_many({})
    database.users.insert_many(backup)
    return refresh


def test_a_restored_backup_brings_ended_sessions_back(client, restored):
    assert client.post("/auth/refresh", json=restored).status_code == 200


def test_a_new_secret_ends_all_sessions_and_keeps_the_passwords(make_app, restored, alice):
    after = make_app(JWT_SECRET_KEY=NEW_SECRET).test_client()
    for refused in (after.post("/auth/refresh", json=restored), after.get("/users/me", headers=bearer(alice))):
        assert (refused.status_code, refused.get_json()["code"]) == (401, "token_invalid")
    token = sign_in(after, ALICE, PASSWORD)["token"]
    assert after.get("/users/me", headers=bearer(token)).status_code == 200
