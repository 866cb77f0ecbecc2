"""Users that lie in several files, one a collection, are put together, whatever the order of the files."""

import itertools
import json

import pytest

from authservice.store import imports
from tests.migration.golden_hashes import stored_of
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


@pytest.mark.parametrize("names", [("user", "account"), ("account", "user")])
def test_a_refused_user_is_named_by_the_line_of_the_main_record(app, tmp_path, names):
    path = tmp_path / "rejects"
    content = {**FILES, "user": ndjson(USERS[0], {**USERS[1], "email": "josh@localhost"})}
    files = {name: write(tmp_path, content[name], name) for name in names}
    imported(app, *files.values(), profile="better-auth", exit_code=1, options=("--rejects", str(path)))
    assert rejected(path) == [{"file": files["user"], "line": 2, "reason": "invalid e-mail"}]


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


@pytest.mark.parametrize("names", [*itertools.permutations(("customer", "provider_identity", "auth_identity"))])
def test_a_password_needs_the_record_that_joins_it(app, database, tmp_path, names):
    """Of Medusa, where strangers can register an identity of any e-mail."""
    hashed = stored_of("medusa")[0]
    own = {"provider": "emailpass", "provider_metadata": {"password": hashed}}
    people = [{"id": f"cus_{one}", "email": f"{one}@example.com"} for one in ("alice", "bob")]
    identities = [
        {"id": one, "entity_id": f"{one}@example.com", "auth_identity_id": f"auth_{one}", **own}
        for one in ("alice", "bob")
    ]
    owners = [
        {"id": "auth_alice", "app_metadata": {"customer_id": "cus_alice"}},
        {"id": "auth_bob", "app_metadata": None},
        {"id": "auth_google", "app_metadata": {"customer_id": "cus_bob"}},
    ]
    content = {"customer": people, "provider_identity": identities, "auth_identity": owners}
    files = [write(tmp_path, ndjson(*content[name]), name) for name in names]
    assert imported(app, *files, profile="medusa") == {"imported": 2}
    passwords = {one["email"]: one["password"] for one in database.users.find()}
    assert (passwords["alice@example.com"][:12], passwords["bob@example.com"]) == ("$scrypt-kdf$", "!")
