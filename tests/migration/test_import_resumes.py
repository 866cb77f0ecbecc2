"""An import can be run again: it writes who is missing, and overwrites nobody."""

import contextlib

from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from authservice.migration import importing
from authservice.store import imports
from tests.conftest import ALICE
from tests.migration.importing import HASH, call, imported, ndjson, user, write


def test_a_second_run_finds_everybody_and_changes_nothing(app, database, tmp_path):
    export = write(tmp_path, ndjson(user(1), user(2)))
    assert imported(app, export) == {"imported": 2}
    database.users.update_one({"email": "user1@example.com"}, {"$set": {"password": "changed", "email": ALICE}})
    before = [*database.users.find()]
    assert imported(app, export) == {"already here": 2}
    assert [*database.users.find()] == before


def test_users_who_came_later_are_added(app, tmp_path):
    assert imported(app, write(tmp_path, ndjson(user(1)))) == {"imported": 1}
    export = write(tmp_path, ndjson(user(2), user(1), user(3)))
    assert imported(app, export) == {"imported": 2, "already here": 1}


def test_the_same_user_twice_in_an_export_counts_once(app, tmp_path, monkeypatch):
    for size in (1_000, 1):
        monkeypatch.setattr(importing, "BATCH", size)
        for number in (1, "5c0dc18d349bc9479600c171"):
            one = user(f"{number}{size}") if number == 1 else {**user(size), "id": number}
            again = {**one, "email": f"other{number}{size}@example.com"}
            table = imported(app, write(tmp_path, ndjson(one, one, again)))
            assert table.pop("already here") in (2, 3)
            assert table in ({"imported": 1}, {})


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
