"""A reset keeps the factors of an address that is proven, and drops those that a squatter added before."""

from datetime import UTC, datetime

import pytest

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer, sign_in
from tests.mail.sink import token_in

NEW = "an even longer secret"
PASSKEYS = [{"id": b"id", "name": "x", "createdAt": datetime(2026, 1, 1, tzinfo=UTC)}]


@pytest.fixture
def settings(settings):
    return {**settings, "SECOND_FACTOR_ROLES": "admin"}


@pytest.fixture
def reset(client, enrolled, database, deliver, sink):
    """``reset(is_proven)``: Alice, who has two steps and a passkey, sets a new password by mail."""

    def reset(is_proven):
        proven = {"emailVerifiedAt": datetime.now(UTC)} if is_proven else {}
        database.users.update_one({}, {"$set": {"passkeys": PASSKEYS, **proven}})
        deliver()
        sink.got.clear()
        assert client.post("/auth/reset", json={"email": ALICE}).status_code == 202
        deliver()
        body = {"token": token_in(sink.only()[1]), "newPassword": NEW}
        assert client.put("/auth/reset", json=body).status_code == 204

    return reset


def test_who_has_proven_the_address_needs_the_second_step_as_before(client, reset, stored):
    before = stored()["twoStep"]
    reset(is_proven=True)
    assert (stored()["twoStep"], stored()["passkeys"]) == (before, PASSKEYS)
    answer = client.post("/auth", json={"email": ALICE, "password": NEW})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "second_factor_required")
    assert stored()["sessions"] == []


def test_what_a_squatter_added_is_gone(client, reset, enrolled, stored):
    reset(is_proven=False)
    assert stored().keys().isdisjoint({"twoStep", "passkeys"})
    assert_problem(client.get("/users/me", headers=bearer(enrolled[1]["token"])), 401, "token_invalid")
    sign_in(client, ALICE, NEW)


def test_a_role_that_needs_a_second_factor_is_no_squatters(client, reset, database, stored):
    """Operators create accounts with unproven addresses, and give them the role."""
    database.users.update_one({}, {"$set": {"roles": ["editor", "admin"]}})
    before = stored()["twoStep"]
    reset(is_proven=False)
    assert (stored()["twoStep"], stored()["passkeys"]) == (before, PASSKEYS)
    answer = client.post("/auth", json={"email": ALICE, "password": NEW})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "second_factor_required")


def test_a_changed_password_keeps_them(client, enrolled, stored):
    before, headers = stored()["twoStep"], bearer(enrolled[1]["token"])
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert_ok(client.put("/users/me/password", json=body, headers=headers))
    assert stored()["twoStep"] == before
