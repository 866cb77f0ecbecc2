"""An import can be run again: it writes who is missing, and overwrites nobody."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from authservice.migration import importing
from authservice.store import imports
from tests.conftest import ALICE, BOB
from tests.migration.importing import HASH, call, imported, ndjson, rejected, user, write

OTHER = {"already here": 1, "with another e-mail": 1}


def test_a_second_run_finds_everybody_and_changes_nothing(app, database, tmp_path):
    export = write(tmp_path, ndjson(user(1), user(2)))
    assert imported(app, export) == {"imported": 2}
    former = {"email": "user1@example.com", "until": datetime.now(UTC) - timedelta(days=1)}
    changed = {"password": "changed", "email": ALICE, "formerEmails": [former]}
    database.users.update_one({"email": "user1@example.com"}, {"$set": changed})
    before = [*database.users.find()]
    assert imported(app, export) == {"already here": 2}
    assert [*database.users.find()] == before


def test_users_who_came_later_are_added(app, tmp_path):
    assert imported(app, write(tmp_path, ndjson(user(1)))) == {"imported": 1}
    export = write(tmp_path, ndjson(user(2), user(1), user(3)))
    assert imported(app, export) == {"imported": 2, "already here": 1}


@pytest.mark.parametrize("size", [1, 1_000])
@pytest.mark.parametrize("known", ["u1", "5c0dc18d349bc9479600c171"])
def test_the_same_user_twice_in_an_export_counts_once(app, tmp_path, monkeypatch, known, size):
    monkeypatch.setattr(importing, "BATCH", size)
    export = write(tmp_path, ndjson(user(1, id=known), user(1, id=known)))
    for options in (("--dry-run",), ()):
        assert imported(app, export, options=options) == {"imported": 1, "already here": 1}


@pytest.mark.parametrize("size", [1, 1_000])
@pytest.mark.parametrize("known", ["u1", "5c0dc18d349bc9479600c171"])
def test_two_users_of_an_export_with_one_id_are_not_one_user(app, database, tmp_path, monkeypatch, known, size):
    monkeypatch.setattr(importing, "BATCH", size)
    records = [user(1, id=known), user(2), user(3, id=known), user(2, id=known), user(1, id=known)]
    export, path = write(tmp_path, ndjson(*records)), tmp_path / "rejects"
    here = {"imported": 2, "already here": 3}
    for options, table in (
        (("--dry-run",), here),
        ((), here),
        (("--dry-run",), {"already here": 5}),
        ((), {"already here": 5}),
    ):
        got = imported(app, export, options=(*options, "--rejects", str(path)))
        assert got == {**table, "with another e-mail": 2}
        assert rejected(path) == [{"line": line, "reason": "already here with another e-mail"} for line in (3, 4)]
    assert sorted(database.users.distinct("email")) == ["user1@example.com", "user2@example.com"]


def test_a_second_app_of_the_same_stack_is_not_the_first(app, database, tmp_path):
    """Tables count their rows from 1."""
    assert imported(app, write(tmp_path, f"id,email,password\n1,{ALICE},{HASH}\n"), profile="laravel") == {
        "imported": 1
    }
    other = write(tmp_path, f"id,email,password\n1,{BOB},{HASH}\n2,carl@example.com,{HASH}\n")
    for options in (("--dry-run",), ()):
        table = imported(app, other, profile="laravel", options=options)
        assert table == {"imported": 1, "already here": 1, "with another e-mail": 1}
    assert sorted(database.users.distinct("email")) == [ALICE, "carl@example.com"]
    result = call(app, "import", "--from", "laravel", other)
    assert "Note: 1 user has the id of an account with another e-mail" in result.stderr


def test_a_write_that_the_driver_repeats_counts_once(app, database, tmp_path, monkeypatch):
    """It finds its own documents, and a document that was there is still not its own."""
    assert imported(app, write(tmp_path, ndjson(user(1)))) == {"imported": 1}
    write_once = Collection.insert_many

    def twice(self, documents, **options):
        with contextlib.suppress(BulkWriteError):
            write_once(self, documents, **options)
        return write_once(self, documents, **options)

    monkeypatch.setattr(Collection, "insert_many", twice)
    monkeypatch.setattr(imports, "keys_here", only_after_the_write(imports.keys_here))
    monkeypatch.setattr(imports, "taken", lambda emails: [])
    export = write(tmp_path, ndjson(user(1), user(2), user(2), {**user(3), "email": "User2@example.com"}, user(4)))
    assert imported(app, export, exit_code=1) == {"imported": 2, "already here": 2, "e-mail taken": 1}
    assert database.users.estimated_document_count() == 3


def only_after_the_write(keys_here):
    """Another import wrote user 1 after this one has looked."""
    asked = []

    def look(keys):
        asked.append(keys)
        return keys_here(keys) if len(asked) > 1 else {}

    return look


def test_a_write_that_the_replica_set_did_not_confirm_is_not_counted(app, tmp_path, monkeypatch):
    """It may be rolled back. The next run finds out."""
    write_once = Collection.insert_many

    def unconfirmed(self, documents, **options):
        write_once(self, documents, **options)
        timed_out = [{"code": 64, "errmsg": "waiting for replication timed out"}]
        raise BulkWriteError({"writeErrors": [], "writeConcernErrors": timed_out})

    export = write(tmp_path, ndjson(user(1)))
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "insert_many", unconfirmed)
        assert imported(app, export, exit_code=3) == {}
    assert imported(app, export) == {"already here": 1}


def test_an_id_of_mongodb_is_kept(app, database, tmp_path):
    """The collections of the app refer to it."""
    one = {**user(1), "id": None, "_id": {"$oid": "5c0dc18d349bc9479600c171"}}
    assert imported(app, write(tmp_path, ndjson(one))) == {"imported": 1}
    stored = database.users.find_one()
    assert (str(stored["_id"]), stored["legacy"]["id"]) == ("5c0dc18d349bc9479600c171",) * 2
    assert stored["createdAt"] == stored["_id"].generation_time


def test_a_user_whose_document_is_here_is_already_here(app, database, tmp_path):
    """The app's own collection has the users of its export."""
    inserted = database.users.insert_one({"email": "user1@example.com", "password": HASH})
    one = {**user(1), "id": str(inserted.inserted_id)}
    assert imported(app, write(tmp_path, ndjson(one))) == {"already here": 1}
    assert {*database.users.find_one()} == {"_id", "email", "password"}


@pytest.mark.parametrize("email", [" User1@Example.com", "user1@xn--bcher-kva.example.com", None, ["x@example.com"]])
def test_its_email_may_be_spelled_otherwise_or_be_elsewhere(app, database, tmp_path, email):
    there = "user1@bücher.example.com" if isinstance(email, str) and "xn--" in email else "user1@example.com"
    inserted = database.users.insert_one({"email": email})
    one = {**user(1), "id": str(inserted.inserted_id), "email": there}
    assert imported(app, write(tmp_path, ndjson(one))) == {"already here": 1}


def test_a_document_of_another_user_with_the_same_id_is_not_the_users(app, database, tmp_path):
    inserted = database.users.insert_one({"email": BOB})
    one = {**user(1), "id": str(inserted.inserted_id)}
    for options in (("--dry-run",), ()):
        assert imported(app, write(tmp_path, ndjson(one)), options=options) == OTHER


def test_the_index_is_there_before_the_first_write(app, database, tmp_path):
    imported(app, write(tmp_path, ndjson(user(1))))
    index = database.users.index_information()["legacy_key"]
    assert (index["key"], index["unique"], index["sparse"]) == ([("legacy.key", 1)], True, True)


def test_ctrl_c_says_that_the_command_resumes(app, database, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 1)
    monkeypatch.setattr(imports, "ids_here", stop_at_second(imports.ids_here))
    export = write(tmp_path, ndjson(user(1), user(2), user(3)))
    stopped = call(app, "import", "--from", "nestjs", export)
    assert stopped.exit_code == 130
    assert "Running the same command again resumes" in stopped.stderr
    assert database.users.estimated_document_count() == 1
    monkeypatch.undo()
    assert imported(app, export) == {"imported": 2, "already here": 1}


def stop_at_second(ids_here):
    asked = []

    def look(ids):
        asked.append(ids)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return ids_here(ids)

    return look
