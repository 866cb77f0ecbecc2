"""``users adopt --undo`` brings back every byte, but of users who have signed in or changed since."""

import pytest
from bson import Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp

from tests.conftest import ALICE, BOB, CHARLIE, bearer, make_account, sign_in
from tests.migration.adopting import (
    JOINED,
    METEOR_ID,
    adopt,
    bcrypted,
    contents,
    documents,
    meteor,
    nestjs,
    payload,
    require_done,
)

ODD = {
    "nothing": None,
    "not a number": float("nan"),
    "whole": 1.0,
    "long": Int64(1),
    "exact": Decimal128("1.10"),
    "list": [[1, {"b": 1, "a": [None]}]],
    "pattern": Regex("x", "i"),
    "stamp": Timestamp(1, 2),
    "last": MaxKey(),
    "bytes": b"\x00\xff",
}


@pytest.mark.parametrize(
    ("stack", "collection"),
    [
        (
            "nestjs",
            [
                nestjs(ALICE),
                nestjs("Natalie@Example.com", **ODD),
                nestjs("  bob@example.com ", isActive=False, emailVerifiedAt=True, disabledAt=None),
                {"emailVerified": True, **nestjs(CHARLIE, roles=["admin"], createdAt=JOINED, legacy="old")},
                {"_id": ObjectId(), "unreadable": True},
                nestjs("twin@example.com"),
                nestjs("Twin@example.com"),
            ],
        ),
        ("payload", [payload("Alice@example.com", **ODD), payload(BOB, _verified=True), payload(CHARLIE, sessions=[])]),
        (
            "meteor",
            [
                meteor("Alice@example.com", METEOR_ID, **ODD),
                {**meteor(BOB, 7), "email": "an old one"},
                meteor(CHARLIE, profile={"name": "Charlie"}, roles=["admin"]),
                meteor("twin@example.com", "b"),
                meteor("Twin@example.com", "c"),
                nestjs("other@example.com"),
            ],
        ),
    ],
    ids=["nestjs", "payload", "meteor"],
)
def test_every_byte_comes_back(app, database, stack, collection):
    database.users.insert_many(collection)
    before = contents(database)
    adopted = adopt(app, stack, "--yes", "--rename-sessions")
    assert (adopted.exit_code, adopted.stderr) == (int(stack != "payload"), "")
    assert contents(database) != before
    undone = adopt(app, stack, "--undo", "--yes")
    assert (undone.exit_code, undone.stderr) == (0, "")
    assert contents(database) == before
    again = adopt(app, stack, "--yes", "--rename-sessions")
    assert again.stdout == adopted.stdout


def test_who_signed_in_stays_and_is_named(app, client, database):
    alice, bob = nestjs("Alice@Example.com"), nestjs("Bob@Example.com")
    database.users.insert_many([alice, bob])
    require_done(adopt(app, "nestjs", "--yes"), 2)
    token = sign_in(client, ALICE)["token"]
    kept = database.users.find_one({"_id": alice["_id"]})

    undone = adopt(app, "nestjs", "--undo", "--yes")
    require_done(undone, 1, "undone")
    assert f"  stay                 1\n    signed in or changed since: {alice['_id']}\n" in undone.stdout
    assert database.users.find_one({"_id": alice["_id"]}) == kept
    assert database.users.find_one({"_id": bob["_id"]}) == bob
    assert client.get("/users/me", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(
    "command",
    [["disable", ALICE], ["grant", ALICE, "admin"], ["verify", ALICE], ["set-password", ALICE, "--password-stdin"]],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize(
    "document", [nestjs(ALICE), meteor(ALICE, METEOR_ID, emails=[{"address": ALICE}])], ids=["in place", "moved"]
)
def test_what_an_operator_changed_stays(app, database, document, command):
    stack = "nestjs" if "password" in document else "meteor"
    database.users.insert_one(document)
    require_done(adopt(app, stack, "--yes"), 1)
    changed = app.test_cli_runner().invoke(args=["users", *command], input="another horse battery\n")
    assert (changed.exit_code, changed.stderr) == (0, "")
    before = contents(database)
    undone = adopt(app, stack, "--undo", "--yes")
    assert (undone.exit_code, undone.stderr) == (0, "")
    assert "  would undo           0\n  stay                 1\n" in undone.stdout
    assert contents(database) == before


@pytest.mark.parametrize(
    "document",
    [nestjs(ALICE, roles=["editor"]), meteor(ALICE, METEOR_ID, emails=[{"address": ALICE}], roles=["editor"])],
    ids=["in place", "moved"],
)
def test_who_got_a_role_here_beside_renamed_ones_stays(app, database, document):
    stack = "nestjs" if "password" in document else "meteor"
    database.users.insert_one(document)
    require_done(adopt(app, stack, "--yes", "--rename-sessions"), 1)
    assert app.test_cli_runner().invoke(args=["users", "grant", ALICE, "admin"]).exit_code == 0
    before = contents(database)
    assert "  stay                 1\n" in adopt(app, stack, "--undo", "--yes").stdout
    assert contents(database) == before


def test_who_was_enabled_here_stays(app, database):
    database.users.insert_one(nestjs(ALICE, isActive=False))
    require_done(adopt(app, "nestjs", "--yes"), 1)
    assert app.test_cli_runner().invoke(args=["users", "enable", ALICE]).exit_code == 0
    assert "  stay                 1\n" in adopt(app, "nestjs", "--undo", "--yes").stdout


def test_what_the_other_app_wrote_meanwhile_stays(app, database):
    document = nestjs("Alice@Example.com")
    database.users.insert_one(document)
    require_done(adopt(app, "nestjs", "--yes"), 1)
    database.users.update_one({}, {"$set": {"name": "Alice", "logins": 3}})
    require_done(adopt(app, "nestjs", "--undo", "--yes"), 1, "undone")
    assert database.users.find_one() == {**document, "name": "Alice", "logins": 3}


@pytest.mark.parametrize("field", ["email", "password"])
def test_a_value_that_the_other_app_replaced_is_not_taken_back(app, database, field):
    document = nestjs("Alice@Example.com")
    database.users.insert_one(document)
    require_done(adopt(app, "nestjs", "--yes"), 1)
    database.users.update_one({}, {"$set": {field: BOB if field == "email" else bcrypted("another horse battery")}})
    before = database.users.find_one()
    undone = adopt(app, "nestjs", "--undo", "--yes")
    assert undone.exit_code == 0
    if field == "email":  # it had been replaced, and going back would lose the new one
        assert database.users.find_one() == before
        assert "  stay                 1\n" in undone.stdout
    else:
        assert database.users.find_one() == {**document, "password": before["password"]}


def test_a_new_field_of_a_moved_user_is_not_lost(app, database):
    database.users.insert_one(meteor(ALICE, METEOR_ID))
    require_done(adopt(app, "meteor", "--yes"), 1)
    database.users.update_one({}, {"$set": {"cart": ["book"]}})
    before = contents(database)
    assert "  stay                 1\n" in adopt(app, "meteor", "--undo", "--yes").stdout
    assert contents(database) == before


def test_a_number_of_another_type_in_a_moved_user_is_a_change(app, database):
    database.users.insert_one(meteor(ALICE, METEOR_ID))
    require_done(adopt(app, "meteor", "--yes"), 1)
    database.users.update_one({}, {"$set": {"visits": 3.0}})
    before = documents(database)
    assert "  stay                 1\n" in adopt(app, "meteor", "--undo", "--yes").stdout
    assert documents(database) == before


def test_who_stays_keeps_the_copy_and_the_index(app, database):
    """They let the next undo find the old document, and the next run find the user."""
    database.users.insert_many([meteor(ALICE, METEOR_ID), meteor(BOB, "b")])
    require_done(adopt(app, "meteor", "--yes"), 2)
    database.users.update_one({"email": ALICE}, {"$set": {"cart": ["book"]}})
    copy = database.users_adopted.find_one({"_id": METEOR_ID})
    require_done(adopt(app, "meteor", "--undo", "--yes"), 1, "undone")
    assert [*database.users_adopted.find()] == [copy]
    assert "legacy_key" in database.users.index_information()


def test_who_deleted_the_account_is_not_brought_back(app, database):
    database.users.insert_many([meteor(ALICE, METEOR_ID), meteor(BOB, "b")])
    require_done(adopt(app, "meteor", "--yes"), 2)
    database.users.delete_one({"email": ALICE})
    undone = adopt(app, "meteor", "--undo", "--yes")
    require_done(undone, 1, "undone")
    assert "  deleted here         1\n" in undone.stdout
    assert [one["_id"] for one in database.users.find()] == ["b"]
    again = adopt(app, "meteor", "--yes")
    require_done(again, 1)
    assert database.users.count_documents({"email": ALICE}) == 0


def test_users_of_this_service_are_none_of_its_business(app, client, database):
    make_account(client, ALICE)
    imported = {**nestjs(BOB), "legacy": {"key": "nestjs:1", "from": "nestjs", "id": "1"}}
    database.users.insert_one(imported)
    before = documents(database)
    undone = adopt(app, "nestjs", "--undo", "--yes")
    assert "  would undo           0\n  stay                 0\n" in undone.stdout
    assert documents(database) == before
