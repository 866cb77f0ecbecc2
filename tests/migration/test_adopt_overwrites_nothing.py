"""What others write while ``users adopt`` runs is not overwritten, and is reported."""

import pytest

from authservice.migration import adopting, undoing
from authservice.store import adopted
from tests.conftest import ALICE, BOB, make_account
from tests.migration.adopting import METEOR_ID, adopt, contents, meteor, nestjs, require_done


@pytest.fixture
def meanwhile(monkeypatch):
    """``meanwhile(module, name, write)``: after that function has looked, and before anything is written."""

    def patch(module, name, write):
        look = getattr(module, name)

        def then_write(*args, **options):
            found = look(*args, **options)
            write()
            return found

        monkeypatch.setattr(module, name, then_write)
        return lambda: monkeypatch.setattr(module, name, look)

    return patch


@pytest.mark.parametrize(
    "change",
    [
        {"$set": {"password": "$2b$04$" + "x" * 53}},
        {"$set": {"email": BOB}},
        {"$set": {"name": "Alice"}},
        {"$set": {"legacy": {"key": "of another run"}}},
        {"$unset": {"name": ""}},
    ],
    ids=str,
)
def test_a_document_that_changes_is_left_until_the_next_run(app, database, meanwhile, change):
    database.users.insert_many([nestjs(ALICE), nestjs("natalie@example.com")])
    undo_patch = meanwhile(adopting.Plan, "adoptions", lambda: database.users.update_one({"name": "Natalie"}, change))
    result = adopt(app, "nestjs", "--yes")
    undo_patch()
    known = database.users.find_one()["_id"]
    assert (result.exit_code, result.stderr) == (1, f"Error: changed meanwhile: {known}. Run it again.\n")
    assert result.stdout.endswith("\n1 adopted.\n")
    if "password" not in change.get("$set", {}):
        require_done(adopt(app, "nestjs", "--yes"), 1)


@pytest.mark.parametrize("change", [{"$set": {"services.resume": 1}}, {"$push": {"emails": 1}}], ids=str)
def test_a_document_that_changes_while_it_is_copied_stays_where_it_is(app, database, meanwhile, change):
    database.users.insert_one(meteor(ALICE, METEOR_ID))
    undo_patch = meanwhile(adopted, "copy", lambda: database.users.update_one({}, change))
    result = adopt(app, "meteor", "--yes")
    undo_patch()
    assert (result.exit_code, result.stderr) == (1, f"Error: changed meanwhile: {METEOR_ID}. Run it again.\n")
    changed = database.users.find_one()
    assert changed["_id"] == METEOR_ID
    require_done(adopt(app, "meteor", "--yes"), 1)
    assert database.users_adopted.find_one()["document"] == changed


def test_the_copy_of_a_moved_document_is_not_replaced_by_a_new_one_of_its_id(app, database):
    database.users.insert_one(meteor(ALICE, METEOR_ID))
    require_done(adopt(app, "meteor", "--yes"), 1)
    copy, document = database.users_adopted.find_one(), meteor(BOB, METEOR_ID)
    database.users.insert_one(document)
    result = adopt(app, "meteor", "--yes")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: the database refused {METEOR_ID}: a unique index, or a validator.\n",
    )
    assert [*database.users_adopted.find()] == [copy]
    assert database.users.find_one({"_id": METEOR_ID}) == document


@pytest.mark.parametrize("document", [meteor(BOB), meteor(BOB, METEOR_ID)], ids=["in place", "moved"])
def test_who_signs_up_first_has_the_address(app, client, database, meanwhile, document):
    make_account(client, ALICE)
    database.users.insert_one(document)
    undo_patch = meanwhile(adopting.Plan, "adoptions", lambda: make_account(client, BOB))
    result = adopt(app, "meteor", "--yes")
    undo_patch()
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: the database refused {document['_id']}: a unique index, or a validator.\n",
    )
    assert result.stdout.endswith("\n0 adopted.\n")
    assert database.users.find_one({"_id": document["_id"]}) == document
    assert database.users_adopted.find_one() is None
    again = adopt(app, "meteor", "--yes")
    assert (again.exit_code, again.stderr) == (1, "")
    bob = database.users.find_one({"email": BOB})["_id"]
    assert f"  e-mail taken         2\n    {BOB}: " in again.stdout
    assert str(bob) in again.stdout


@pytest.mark.parametrize("document", [nestjs(ALICE), meteor(ALICE, METEOR_ID)], ids=["in place", "moved"])
def test_who_signs_in_during_an_undo_stays(app, database, meanwhile, document):
    stack = "nestjs" if "password" in document else "meteor"
    database.users.insert_one(document)
    require_done(adopt(app, stack, "--yes"), 1)
    before_the_write = (undoing, "way_back") if stack == "nestjs" else (adopted, "mark")
    sign_in = {"$set": {"passwordRenewedAt": 1, "sessions": []}}
    undo_patch = meanwhile(*before_the_write, lambda: database.users.update_one({}, sign_in))
    undone = adopt(app, stack, "--undo", "--yes")
    undo_patch()
    found = database.users.find_one()
    assert (undone.exit_code, undone.stderr) == (1, f"Error: changed meanwhile: {found['_id']}. Run it again.\n")
    assert found["passwordRenewedAt"] == 1
    assert found["legacy"]["from"] == stack
    assert {one["state"] for one in database.users_adopted.find()} <= {"moved"}
    before = contents(database)
    assert "  would undo           0\n  stay                 1\n" in adopt(app, stack, "--undo", "--yes").stdout
    assert contents(database) == before


def test_who_signs_in_while_an_undo_waits_for_its_yes_stays(app, database, meanwhile):
    database.users.insert_one(nestjs(ALICE))
    require_done(adopt(app, "nestjs", "--yes"), 1)
    undo_patch = meanwhile(
        undoing, "look", lambda: database.users.update_one({}, {"$set": {"passwordRenewedAt": 1, "sessions": []}})
    )
    before = database.users.find_one()
    undone = adopt(app, "nestjs", "--undo", "--yes")
    undo_patch()
    assert (undone.exit_code, undone.stderr) == (1, f"Error: changed meanwhile: {before['_id']}. Run it again.\n")
    assert database.users.find_one() == {**before, "passwordRenewedAt": 1, "sessions": []}
