"""Users that lie in several files, one a collection, are put together, whatever the order of the files."""

import itertools
import json

import pytest

from authservice.store import imports
from tests.migration.importing import call, imported, ndjson, rejected, write

KEY = f"{'ab' * 16}:{'cd' * 64}"
USERS = [{"_id": f"u{number}", "email": f"user{number}@example.com", "emailVerified": True} for number in (1, 2)]
ACCOUNTS = [
    {"_id": "a1", "userId": "u1", "providerId": "credential", "password": KEY},
    {"_id": "a2", "userId": "u1", "providerId": "github", "accessToken": "x"},
    {"_id": "a3", "userId": "u2", "providerId": "credential", "password": KEY},
]
SESSIONS = [{"_id": "s1", "userId": "u1", "token": "x"}]
FILES = {"user": ndjson(*USERS), "account": json.dumps(ACCOUNTS, indent=1), "session": ndjson(*SESSIONS)}


@pytest.mark.parametrize("names", [*itertools.permutations(FILES)])
def test_the_order_of_the_files_does_not_matter(app, database, tmp_path, names):
    files = [write(tmp_path, FILES[name], name) for name in names]
    assert imported(app, *files, profile="better-auth") == {"imported": 2, "skipped": 2}
    assert [one["password"].split("$")[1] for one in database.users.find()] == ["scrypt-nfkc"] * 2
    again = imported(app, *reversed(files), profile="better-auth", options=("--dry-run",))
    assert again == {"already here": 2, "skipped": 2}


def test_a_part_without_its_user_is_named(app, tmp_path):
    path = tmp_path / "rejects"
    files = [write(tmp_path, FILES["account"], "account"), write(tmp_path, ndjson(USERS[0]), "user")]
    table = imported(app, *files, profile="better-auth", exit_code=1, options=("--rejects", str(path)))
    assert table == {"imported": 1, "unreadable": 1, "account without user": 1, "skipped": 1}
    assert rejected(path) == [{"file": files[0], "line": 14, "reason": "account without user"}]


def test_a_bad_line_is_named_with_its_file(app, tmp_path):
    path = tmp_path / "rejects"
    files = [write(tmp_path, FILES["user"] + "{broken\n", "user"), write(tmp_path, FILES["account"], "account")]
    imported(app, *files, profile="better-auth", exit_code=1, options=("--rejects", str(path)))
    assert rejected(path) == [{"file": files[0], "line": 3, "reason": "not JSON"}]


def test_nothing_of_it_stays_on_the_disk(app, tmp_path, monkeypatch):
    """The passwords wait in a file that is deleted as soon as it is open."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    for name in ("SQLITE_TMPDIR", "TMPDIR"):
        monkeypatch.setenv(name, str(folder))
    seen = []
    look = imports.keys_here
    monkeypatch.setattr(imports, "keys_here", lambda keys: (seen.append([*folder.iterdir()]), look(keys))[1])
    files = [write(tmp_path, FILES[name], name) for name in FILES]
    assert call(app, "import", "--from", "better-auth", *files).exit_code == 0
    assert seen == [[]]
