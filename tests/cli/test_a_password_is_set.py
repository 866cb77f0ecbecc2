"""``flask users set-password`` replaces a forgotten password, and ends all sessions."""

from datetime import UTC, datetime, timedelta

import bcrypt
import pytest
from bson import ObjectId

from tests.api.answers import assert_ok, assert_problem
from tests.cli.test_passwords_are_never_shown import Terminal
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in

NEW = "the operator's choice"


def set_password(users, email, password=NEW):
    return users("set-password", email, "--password-stdin", stdin=password)


def test_the_new_password_signs_in_and_the_old_one_does_not(users, client, alice, database):
    before = datetime.now(UTC) - timedelta(seconds=1)
    done = set_password(users, "Alice@Example.com", f"{NEW}\nsecond line\n")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "Alice@Example.com has a new password and is signed out everywhere.\n"
    assert_problem(client.post("/auth", json={"email": ALICE, "password": PASSWORD}), 401, "credentials_invalid")
    sign_in(client, ALICE, NEW)
    assert before <= database.users.find_one()["passwordChangedAt"] <= datetime.now(UTC)


def test_every_session_has_ended_and_nobody_elses(users, client, alice):
    other = sign_in(client, ALICE)
    assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)
    bob = sign_in(client, BOB)["token"]
    assert set_password(users, ALICE).exit_code == 0
    for token in (alice, other["token"]):
        assert_problem(client.get("/users/test", headers=bearer(token)), 401, "token_invalid")
    assert client.post("/auth/refresh", json={"refreshToken": other["refreshToken"]}).status_code == 401
    assert_ok(client.get("/users/test", headers=bearer(bob)))
    sign_in(client, BOB)


@pytest.mark.parametrize("password", ["new for a legacy user", "\u00e9" * 100 + "a tail beyond 72 bytes"])
def test_a_user_of_another_stack_gets_one_that_counts_whole(users, client, database, password):
    document = {"_id": ObjectId(), "email": "Josh@Example.com", "password": None, "__v": 0}
    database.users.insert_one(document)
    assert set_password(users, "Josh@Example.com", password).exit_code == 0
    sign_in(client, "josh@example.com", password)
    if len(password) > 72:
        answer = client.post("/auth", json={"email": "josh@example.com", "password": password[:-1]})
        assert_problem(answer, 401, "credentials_invalid")


def test_a_disabled_user_stays_disabled(users, client, alice):
    assert users("disable", ALICE).exit_code == 0
    assert set_password(users, ALICE).exit_code == 0
    assert_problem(client.post("/auth", json={"email": ALICE, "password": NEW}), 401, "credentials_invalid")


@pytest.mark.parametrize(
    ("password", "line"),
    [
        ("seven77", "password: Use at least 8 characters."),
        ("", "password: Send a password."),
        ("nul\0in the middle", "password: Use any characters but NUL."),
        ("x" * 1_025, "password: Use at most 1024 characters."),
        (b"\xff\xfe not utf-8", "password: not UTF-8"),
    ],
)
def test_a_bad_one_is_refused_as_at_sign_up_and_changes_nothing(users, client, alice, password, line):
    refused = set_password(users, ALICE, password)
    assert (refused.exit_code, refused.stdout, refused.stderr) == (2, "", f"Error: {line}\n")
    assert_ok(client.get("/users/test", headers=bearer(alice)))
    sign_in(client, ALICE)


def test_nobody_asks_for_a_password_of_an_unknown_user(users, database):
    refused = users("set-password", "nobody@example.com")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "Error: No such user. No user has this e-mail or id.\n"


def test_two_spellings_of_one_address_are_no_ones_by_chance(users, database):
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    database.users.insert_many(
        [{"email": email, "password": stored} for email in ("Vic@Example.com", "vic@example.com")]
    )
    refused = set_password(users, "VIC@example.com")
    assert refused.exit_code == 1
    assert all(str(user["_id"]) in refused.stderr for user in database.users.find())
    assert {user["password"] for user in database.users.find()} == {stored}


def test_the_terminal_asks_twice_and_shows_nothing(client, alice, mongo_uri):
    terminal = Terminal(mongo_uri, "set-password", ALICE)
    terminal.read_until(lambda seen: seen.endswith("Password: "))
    terminal.type(NEW)
    terminal.read_until(lambda seen: seen.endswith("Repeat for confirmation: "))
    terminal.type(NEW)
    assert terminal.close() == 0
    assert NEW not in terminal.seen
    sign_in(client, ALICE, NEW)


@pytest.mark.parametrize("arguments", [[NEW], ["--password", NEW], [f"--password={NEW}"]])
def test_an_argument_is_never_a_password(users, client, alice, arguments):
    assert users("set-password", ALICE, *arguments).exit_code == 2
    sign_in(client, ALICE)
