"""Sign-up, the check of the current password, and refresh have budgets of their own."""

import pytest

from authservice.errors import DatabaseUnavailable, HashingBusy
from authservice.security import passwords
from authservice.store import users
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.limits.test_a_budget_admits_exactly_its_burst import pass_time

NEW = "a longer secret"


def sign_up(client, email, address="203.0.113.9"):
    return client.post("/users", json={"email": email, "password": PASSWORD}, environ_base={"REMOTE_ADDR": address})


def change(client, token, current="a wrong one"):
    body = {"currentPassword": current, "newPassword": NEW}
    return client.put("/users/me/password", json=body, headers=bearer(token))


def delete(client, token, current="a wrong one"):
    return client.delete("/users/me", json={"currentPassword": current}, headers=bearer(token))


def refresh(client, pair):
    return client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})


def test_a_sign_up_costs_a_unit_whatever_its_outcome(client, make_app, database):
    answers = [sign_up(client, email).status_code for email in (ALICE, ALICE, ALICE, BOB, ALICE, "new@example.com")]
    assert answers == [201, 409, 409, 201, 409, 429]
    assert_problem(sign_up(client, BOB), 429, "too_many_attempts")
    assert_ok(sign_up(client, "elsewhere@example.com", address="198.51.100.7"), 201)
    pass_time(database, 360)
    other_worker = make_app().test_client()
    assert [sign_up(other_worker, f"{n}@example.com").status_code for n in range(2)] == [201, 429]


def test_a_sign_up_that_a_full_gate_refuses_tells_nothing_and_costs_nothing(make_app, database):
    client = make_app().test_client()
    assert_ok(sign_up(client, ALICE), 201)
    gate = client.application.extensions["authservice"].hasher.gate
    gate._places = 0
    for email in (ALICE, BOB) * 4:
        assert_problem(sign_up(client, email), 503, "hashing_busy")
    gate._places = 10
    assert [sign_up(client, f"{n}@example.com").status_code for n in range(5)] == [201] * 4 + [429]


def test_a_sign_up_that_loses_its_place_to_another_client_costs_a_unit(client, monkeypatch):
    """It may have told that the e-mail is free, since nobody hashes for one that is taken."""

    def lose(*_):
        raise HashingBusy

    monkeypatch.setattr(passwords, "hash_password", lose)
    for _ in range(5):
        assert_problem(sign_up(client, ALICE), 503, "hashing_busy")
    assert_problem(sign_up(client, ALICE), 429, "too_many_attempts")


def test_a_sign_up_that_the_database_fails_costs_nothing(client, monkeypatch):
    def fail(*_, **__):
        raise DatabaseUnavailable

    monkeypatch.setattr(users, "insert", fail)
    for _ in range(7):
        assert_problem(sign_up(client, ALICE), 503, "database_unavailable")


@pytest.mark.parametrize("use", [change, delete])
def test_the_current_password_can_be_guessed_five_times(client, alice, use):
    assert [use(client, alice).status_code for _ in range(7)] == [403] * 5 + [429] * 2
    assert_problem(use(client, alice, PASSWORD), 429, "too_many_attempts")


def test_change_and_deletion_share_a_budget_which_is_the_users_own(client, alice):
    assert_ok(sign_up(client, BOB), 201)
    bob = sign_in(client, BOB)["token"]
    answers = [use(client, alice).status_code for use in (change, delete, change, delete, change, delete)]
    assert answers == [403] * 5 + [429]
    assert change(client, bob).status_code == 403


def test_a_user_whose_checks_a_thief_spends_ends_the_thiefs_session_and_changes_the_password(
    make_app, client, alice, database
):
    thief, user = alice, sign_in(client, ALICE)["token"]
    assert [change(client, thief).status_code for _ in range(6)] == [403] * 5 + [429]
    assert change(client, user, PASSWORD).status_code == 429
    assert client.delete("/auth/sessions?scope=others", headers=bearer(user)).status_code == 204
    assert change(client, thief).status_code == 401
    pass_time(database, 60)
    assert_ok(change(make_app().test_client(), user, PASSWORD))


def test_a_right_password_costs_nothing(client, alice):
    token, passwords = alice, [PASSWORD, NEW, NEW, NEW, NEW, NEW, NEW]
    for current in passwords:
        token = assert_ok(change(client, token, current))["token"]
    assert delete(client, token, NEW).status_code == 204


def test_a_session_has_ten_refreshes_at_once_and_others_have_their_own(client, alice):
    first, second = sign_in(client, ALICE), sign_in(client, ALICE)
    for _ in range(10):
        first = assert_ok(refresh(client, first))
    refused = refresh(client, first)
    assert_problem(refused, 429, "too_many_attempts")
    assert int(refused.headers["Retry-After"]) <= 10
    assert_ok(refresh(client, second))


def test_a_refused_refresh_leaves_the_token_good(make_app, client, alice):
    pair = sign_in(client, ALICE)
    for _ in range(10):
        pair = assert_ok(refresh(client, pair))
    assert refresh(client, pair).status_code == 429
    assert_ok(refresh(make_app().test_client(), pair))


def test_a_guarded_request_has_none(client, alice, database):
    before = [*database.limits.find()]
    answers = {client.get("/users/test", headers=bearer(alice)).status_code for _ in range(200)}
    assert answers == {200}
    assert [*database.limits.find()] == before
