"""What a stolen token must not do: with an old sign-in it is refused, with a recent one it needs no password."""

import pytest

from authservice.store import administration
from tests.api.answers import assert_ok, assert_problem, assert_step_up_required
from tests.conftest import ALICE, PASSWORD, bearer, sign_in

NEW_PASSWORD = "an even longer secret"
TWO_FACTORS = ("pwd", "otp", "mfa")
DAY = 86_400


def change_password(client, token, **body):
    return client.put("/users/me/password", json={"newPassword": NEW_PASSWORD, **body}, headers=bearer(token))


def change_email(client, token):
    body = {"newEmail": "new@example.com", "currentPassword": PASSWORD}
    return client.put("/users/me/email", json=body, headers=bearer(token))


def delete_account(client, token, **body):
    return client.delete("/users/me", json=body, headers=bearer(token))


def end_others(client, token):
    return client.delete("/auth/sessions?scope=others", headers=bearer(token))


def end_another(client, token):
    listed = assert_ok(client.get("/auth/sessions", headers=bearer(token)))["sessions"]
    (another, *_) = (session["id"] for session in listed if not session["current"])
    return client.delete(f"/auth/sessions/{another}", headers=bearer(token))


CHANGES = [(change_password, 200), (change_email, 202), (delete_account, 204)]


@pytest.mark.parametrize(("change", "status"), CHANGES)
def test_a_recent_sign_in_is_enough(client, token_of, change, status):
    assert change(client, token_of(590, "pwd")).status_code == status


@pytest.mark.parametrize("change", [change for change, _ in CHANGES])
def test_an_old_one_is_not_and_changes_nothing(client, database, token_of, change):
    token = token_of(610, "pwd")
    before = database.users.find_one()
    assert_step_up_required(change(client, token))
    assert database.users.find_one() == before
    assert_ok(client.get("/users/test", headers=bearer(token)))


@pytest.mark.parametrize(("change", "status"), CHANGES)
def test_a_second_step_must_have_been_taken(client, token_of, two_step, change, status):
    assert_step_up_required(change(client, token_of(0, "pwd")), acr="aal2")
    assert change(client, token_of(0, *TWO_FACTORS)).status_code == status


@pytest.mark.parametrize(("change", "status"), [(change_password, 200), (delete_account, 204)])
def test_the_password_does_in_its_place(client, token_of, change, status):
    token = token_of(10 * DAY, "pwd")
    assert_problem(change(client, token, currentPassword="not my password"), 403, "password_wrong")
    assert change(client, token, currentPassword=PASSWORD).status_code == status


def test_a_session_that_ends_meanwhile_deletes_nothing(client, database, token_of, monkeypatch):
    token = token_of(0, "pwd")
    assert database.users.update_one({}, {"$set": {"roles": ["admin"]}}).modified_count == 1

    def end_sessions(user_id):
        return database.users.update_one({}, {"$set": {"sessions": []}}).modified_count == 0

    monkeypatch.setattr(administration, "is_last_admin", end_sessions)
    assert_problem(delete_account(client, token), 401, "token_invalid")
    assert database.users.count_documents({}) == 1


def confirm_email(client, token, **_):
    return client.put("/users/me/email/confirmation", json={"code": "12345678"}, headers=bearer(token))


@pytest.mark.parametrize(("change", "status"), [(confirm_email, 403), (change_password, 200), (delete_account, 204)])
def test_a_session_from_before_the_second_step_does_not_do(client, database, token_of, two_step, change, status):
    """It may be a thief's, who knows the password: that is why the user has turned two steps on."""
    token, before = token_of(0, "pwd"), database.users.find_one()
    answer = change(client, token, currentPassword=PASSWORD)
    assert_step_up_required(answer, max_age=None, acr="aal2")
    assert database.users.find_one() == before
    answer = change(client, token_of(10 * DAY, *TWO_FACTORS), currentPassword=PASSWORD)
    assert answer.status_code == status
    assert b"step_up_required" not in answer.data


def test_a_password_that_is_set_so_ends_everything_older(client, alice, token_of):
    token = token_of(300, "pwd")
    changed = assert_ok(change_password(client, token))
    for older in (token, alice):
        assert_problem(client.get("/users/test", headers=bearer(older)), 401, "token_invalid")
    assert_ok(client.get("/users/test", headers=bearer(changed["token"])))
    assert sign_in(client, ALICE, NEW_PASSWORD)


def test_it_follows_the_rules_of_sign_up(client, alice):
    answer = change_password(client, alice, newPassword="short")
    assert_problem(answer, 422, "validation_failed", ("/newPassword", "too_short"))


@pytest.mark.parametrize("stored", [None, "", "!"])
def test_who_has_no_password_can_set_one(client, database, token_of, stored):
    token = token_of(0, "hwk", "user", "mfa")
    change = {"$set": {"password": stored}} if stored is not None else {"$unset": {"password": ""}}
    assert database.users.update_one({}, change).modified_count == 1
    assert_ok(change_password(client, token))
    assert sign_in(client, ALICE, NEW_PASSWORD)


def test_the_last_admin_stays(client, database, token_of):
    token = token_of(0, "pwd")
    assert database.users.update_one({}, {"$set": {"roles": ["admin"]}}).modified_count == 1
    assert_problem(delete_account(client, token), 409, "last_admin")


@pytest.mark.parametrize("end", [end_others, end_another])
class TestOtherSessions:
    def test_within_a_day_nothing_more_is_needed(self, client, token_of, two_step, end):
        assert end(client, token_of(DAY - 10, "pwd")).status_code == 204

    def test_after_a_day_they_stay(self, client, database, token_of, end):
        token = token_of(DAY + 10, "pwd")
        assert_step_up_required(end(client, token), DAY)
        assert len(database.users.find_one()["sessions"]) == 2

    def test_after_a_day_a_second_step_is_named(self, client, token_of, two_step, end):
        assert_step_up_required(end(client, token_of(DAY + 10, *TWO_FACTORS)), DAY, "aal2")


def test_ones_own_session_ends_at_any_age(client, token_of):
    token = token_of(DAY + 10, "pwd")
    (own,) = (
        one["id"]
        for one in assert_ok(client.get("/auth/sessions", headers=bearer(token)))["sessions"]
        if one["current"]
    )
    assert_step_up_required(client.delete("/auth/sessions?scope=all", headers=bearer(token)), DAY)
    assert client.delete(f"/auth/sessions/{own}", headers=bearer(token)).status_code == 204
    assert_problem(client.get("/users/test", headers=bearer(token)), 401, "token_invalid")
