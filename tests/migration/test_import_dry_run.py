"""A dry run changes no byte of the database, and foretells what an import does."""

import hashlib

import bson
import pytest

from authservice.migration import importing
from tests.conftest import ALICE
from tests.migration.importing import call, imported, ndjson, table_of, user, write

EXPORT = ndjson(
    user(1),
    user(1),
    user(2, email="User1@example.com"),
    user(3, email=ALICE.upper()),
    user(4, email="none"),
    user(5, id="5c0dc18d349bc9479600c171"),
    user(6, password="$unknown$"),
    {**user(2), "email": "user2@example.com"},
    user(7),
)


def digest(database):
    """Of every document and index of every collection."""
    whole = hashlib.sha256()
    for name in sorted(database.list_collection_names()):
        whole.update(name.encode())
        for document in database[name].find().sort("_id", 1):
            whole.update(bson.encode(document))
        whole.update(repr(sorted(database[name].index_information().items())).encode())
    return whole.hexdigest()


@pytest.mark.parametrize("size", [1, 4, 1_000])
def test_it_changes_no_byte_and_is_right(app, database, tmp_path, monkeypatch, size):
    monkeypatch.setattr(importing, "BATCH", size)
    export = write(tmp_path, EXPORT)
    database.users.insert_many([{"email": ALICE, "password": "x"}, {"email": "bob@example.com"}])
    for _ in range(2):
        before = digest(database)
        dry = call(app, "import", "--from", "nestjs", export, "--dry-run")
        assert "Dry run: nothing was written." in dry.stdout
        assert digest(database) == before
        done = imported(app, export, exit_code=1)
        assert (table_of(dry.stdout), dry.exit_code) == (done, 1)
        assert digest(database) == before or done["imported"]
    assert (done["already here"], done["e-mail taken"], done["unreadable"]) == (6, 1, 2)


def test_it_makes_no_collection(app, database, tmp_path):
    assert imported(app, write(tmp_path, ndjson(user(1))), options=("--dry-run",)) == {"imported": 1}
    assert database.list_collection_names() == []
