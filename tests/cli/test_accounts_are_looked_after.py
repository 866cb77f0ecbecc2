"""``flask users``: the same accounts as over HTTP, with effect on the next request."""

import json
import re

import pytest
from bson import ObjectId

from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in


def test_an_account_that_is_created_signs_in_over_http(users, client, database):
    created = users("create", "Alice@Example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert (created.exit_code, created.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{24}  alice@example\.com  enabled  -  \S+\+00:00\n", created.stdout)
    sign_in(client, ALICE)
    assert [user["email"] for user in database.users.find()] == [ALICE]


def test_with_json_each_account_is_one_object_with_the_same_members(users, client, alice):
    me = client.get("/users/me", headers=bearer(alice))
    assert me.status_code == 200
    created = users("create", BOB, "--json", "--password-stdin", stdin=PASSWORD)
    assert (created.exit_code, created.stderr) == (0, "")
    bob = json.loads(created.stdout)
    assert bob.keys() == {"id", "email", "emailVerified", "roles", "createdAt", "language", "disabled"}
    assert (bob["email"], bob["roles"], bob["disabled"]) == (BOB, [], False)

    shown = users("show", ALICE, "--json")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert json.loads(shown.stdout) == {**me.get_json(), "disabled": False}

    listed = users("list", "--json")
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert [json.loads(line) for line in listed.stdout.splitlines()] == [json.loads(shown.stdout), bob]


def test_what_is_shown_holds_no_password(users, alice):
    for command in (["show", ALICE], ["show", ALICE, "--json"], ["list"], ["list", "--json"]):
        shown = users(*command)
        assert shown.exit_code == 0
        assert ALICE in shown.stdout
        assert "$2b$" not in shown.output
        assert PASSWORD not in shown.output


def test_the_list_goes_beyond_a_page_and_is_empty_without_accounts(users, database):
    empty = users("list")
    assert (empty.exit_code, empty.output) == (0, "")
    emails = [f"{number}@example.com" for number in range(250)]
    database.users.insert_many([{"email": email} for email in emails])
    listed = users("list")
    assert listed.exit_code == 0
    assert [line.split()[1] for line in listed.stdout.splitlines()] == [
        f"{number}@example.com" for number in range(250)
    ]


def test_what_a_stranger_wrote_moves_no_cursor_and_hides_nothing(users, client, alice, database):
    """C0 and C1 controls, of which terminals take 0x9b for the start of a command, and marks of direction."""
    agent = "curl\x1b[2J\x9b2J\x85\x7f\u202eevil\u2028"
    assert database.users.update_one({}, {"$set": {"sessions.0.userAgent": agent}}).modified_count == 1
    for command in (["sessions", ALICE], ["sessions", ALICE, "--json"]):
        shown = users(*command)
        assert shown.exit_code == 0
        assert all(one.isprintable() for one in shown.output.replace("\n", ""))
        assert "curl\\u001b[2J\\u009b2J\\u0085\\u007f\\u202eevil\\u2028" in shown.output
    assert json.loads(shown.stdout)["userAgent"] == agent

    odd = "m\u00fcller\x9b2J@example.com"
    assert database.users.update_one({}, {"$set": {"email": odd, "roles": ["\x9b"]}}).modified_count == 1
    for command in (["list"], ["list", "--json"], ["show", odd], ["disable", odd]):
        shown = users(*command)
        assert shown.exit_code == 0
        assert "m\u00fcller\\u009b2J@example.com" in shown.output
        assert all(one.isprintable() for one in shown.output.replace("\n", ""))


def test_disabling_holds_from_the_next_request_until_enabling(users, client, alice):
    assert client.get("/users/test", headers=bearer(alice)).status_code == 200
    disabled = users("disable", ALICE)
    assert (disabled.exit_code, disabled.stdout, disabled.stderr) == (0, f"{ALICE} is disabled.\n", "")
    assert client.get("/users/test", headers=bearer(alice)).status_code == 401
    assert client.post("/auth", json={"email": ALICE, "password": PASSWORD}).status_code == 401
    assert "  disabled  " in users("show", ALICE).stdout

    enabled = users("enable", ALICE)
    assert (enabled.exit_code, enabled.stdout, enabled.stderr) == (0, f"{ALICE} is enabled.\n", "")
    assert client.get("/users/test", headers=bearer(sign_in(client, ALICE)["token"])).status_code == 200


def test_disabling_and_enabling_twice_is_no_fault(users, alice):
    assert [users(command, ALICE).exit_code for command in ("disable", "disable", "enable", "enable")] == [0, 0, 0, 0]


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_deleting_asks_first_and_keeps_the_account_without_a_yes(users, client, alice, answer):
    kept = users("delete", ALICE, stdin=answer)
    assert kept.exit_code == 1
    assert f"Delete {ALICE} permanently?" in kept.stdout
    assert "Aborted!" in kept.stderr
    assert client.get("/users/test", headers=bearer(alice)).status_code == 200


@pytest.mark.parametrize(("arguments", "answer"), [([ALICE], "y\n"), ([ALICE, "--yes"], "")])
def test_deleting_leaves_nothing(users, client, alice, database, arguments, answer):
    deleted = users("delete", *arguments, stdin=answer)
    assert (deleted.exit_code, deleted.stderr) == (0, "")
    assert deleted.stdout.endswith(f"{ALICE} is deleted.\n")
    assert client.get("/users/test", headers=bearer(alice)).status_code == 401
    assert database.users.count_documents({"email": ALICE}) == 0


@pytest.mark.parametrize("command", [["show"], ["disable"], ["enable"], ["delete", "--yes"]])
def test_a_mixed_case_e_mail_of_another_stack_is_found_as_it_is_stored(users, database, command):
    legacy = ObjectId()
    database.users.insert_one({"_id": legacy, "email": "Natalie@Example.com", "password": "$2b$10$x", "__v": 0})
    assert users(*command, "Natalie@Example.com").exit_code == 0
    assert users("show", "Nobody@Example.com").exit_code == 1


def test_of_two_that_differ_in_case_alone_the_one_that_is_named_is_meant(users, database):
    database.users.insert_many([{"email": "Natalie@Example.com"}, {"email": "natalie@example.com"}])
    assert users("delete", "--yes", "Natalie@Example.com").exit_code == 0
    assert [user["email"] for user in database.users.find()] == ["natalie@example.com"]
