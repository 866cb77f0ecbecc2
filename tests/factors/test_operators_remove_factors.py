"""An admin or an operator removes every factor of a user who has lost them, and ends all sessions, in one write."""

import pytest

from tests.api.answers import assert_problem
from tests.conftest import ALICE, BOB, bearer, make_account, sign_in
from tests.mail.sink import text_of

PASSKEYS = [{"id": b"id", "name": "x"}]


@pytest.fixture
def mine(client, enrolled, database, deliver, sink):
    """Alice, who has two steps and a passkey. Her token has two factors."""
    database.users.update_one({}, {"$set": {"passkeys": PASSKEYS}})
    deliver()
    sink.got.clear()
    return bearer(enrolled[1]["token"])


@pytest.fixture(params=["admin", "operator"])
def remove(request, app, client, database, stored):
    """Remove what Alice has."""

    def by_admin():
        make_account(client, BOB)
        database.users.update_one({"email": BOB}, {"$set": {"roles": ["admin"]}})
        headers = bearer(sign_in(client, BOB)["token"])
        assert client.delete(f"/admin/users/{stored()['_id']}/factors", headers=headers).status_code == 204

    def by_operator():
        ended = app.test_cli_runner().invoke(args=["users", "reset-factors", ALICE, "--yes"])
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert ended.stdout == f"{ALICE} has no second factor and no passkey, and is signed out everywhere.\n"

    return by_admin if request.param == "admin" else by_operator


def test_nothing_is_left_and_the_next_request_is_refused(client, mine, remove, stored, deliver, sink):
    assert client.get("/users/me", headers=mine).status_code == 200
    remove()
    assert stored().keys().isdisjoint({"twoStep", "passkeys"})
    assert stored()["sessions"] == []
    assert_problem(client.get("/users/me", headers=mine), 401, "token_invalid")
    deliver()
    (mail,) = sink.to(ALICE)
    assert "every passkey" in " ".join(text_of(mail).split())
    sign_in(client, ALICE)  # with the password alone


def test_who_has_none_hears_nothing(client, alice, remove, stored):
    remove()
    assert "mails" not in stored()
    assert_problem(client.get("/users/me", headers=bearer(alice)), 401, "token_invalid")


@pytest.mark.parametrize("foreign", ["x", 7, [], None])
def test_what_another_stack_stored_goes_too(client, alice, database, remove, stored, foreign):
    database.users.update_one({"email": ALICE}, {"$set": {"twoStep": foreign, "passkeys": foreign, "mails": foreign}})
    remove()
    assert stored().keys().isdisjoint({"twoStep", "passkeys"})


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_the_command_asks_first_and_does_nothing_without_a_yes(app, client, mine, stored, answer):
    before = stored()
    kept = app.test_cli_runner().invoke(args=["users", "reset-factors", ALICE], input=answer)
    assert kept.exit_code == 1
    assert f"Remove every second factor and passkey of {ALICE}?" in kept.stdout
    assert stored() == before


def test_the_command_does_it_after_a_yes(app, mine, stored):
    assert app.test_cli_runner().invoke(args=["users", "reset-factors", ALICE], input="y\n").exit_code == 0
    assert "twoStep" not in stored()


def test_an_unknown_user_is_refused(app):
    ended = app.test_cli_runner().invoke(args=["users", "reset-factors", ALICE, "--yes"])
    assert (ended.exit_code, ended.stdout) == (1, "")
