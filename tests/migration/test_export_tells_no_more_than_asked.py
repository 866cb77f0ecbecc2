"""``users export`` has hashes only if somebody wants them, and never sessions, devices or mails."""

import json
import stat

import pytest
from bson import ObjectId

from tests.conftest import ALICE, BOB, SECRET, make_account, sign_in
from tests.migration.importing import call
from tests.server.processes import WITHOUT_STDIN, run

SECRETS = {"password", "passwordChangedAt", "passwordRenewedAt", "twoStep", "passkeys"}

TO_FULL_DISK = ("sh", "-c", 'exec "$@" > /dev/full', "sh")
IN_PART = ("sh", "-c", '{ "$@"; echo "exit $?" >&2; } | head -1', "sh")


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_by_default_it_has_no_secret(app, client, database):
    for email in (ALICE, BOB):
        make_account(client, email)
        sign_in(client, email)
    database.users.update_one({"email": ALICE}, {"$set": {"secret": "x", "roles": ["admin"]}})
    result = call(app, "export")
    assert [record["email"] for record in records(result.stdout)] == [ALICE, BOB]
    assert [{*record} for record in records(result.stdout)] == [{"id", "email", "createdAt", "roles"}] * 2
    assert result.exit_code == 0


def test_hashes_are_asked_for(app, client, database):
    make_account(client, ALICE)
    sign_in(client, ALICE)
    for answer, exit_code in (("n\n", 1), ("", 2), ("y\n", 0)):
        result = call(app, "export", "--with-hashes", stdin=answer.encode())
        assert result.exit_code == exit_code
        assert (database.users.find_one()["password"] in result.stdout) == (exit_code == 0)
        assert "Export them? [y/N]" in result.stderr
        assert ("Error: nobody can be asked here. Use --yes.\n" in result.stderr) == (exit_code == 2)
    (record,) = records(call(app, "export", "--with-hashes", "--yes").stdout)
    assert {*record} == {"id", "email", "createdAt", "roles", "password", "passwordChangedAt"}


def test_hashes_that_nobody_can_be_asked_about_stay(mongo_uri):
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    result = run("authservice", "users", "export", "--with-hashes", through=WITHOUT_STDIN, **environment)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "Error: nobody can be asked here. Use --yes.\n"


def test_a_file_is_for_its_owner_and_appears_whole(app, client, tmp_path):
    make_account(client, ALICE)
    path = tmp_path / "users.ndjson"
    path.write_text("old")
    path.chmod(0o644)
    result = call(app, "export", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [record["email"] for record in records(path.read_text())] == [ALICE]
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_cannot_be_written_is_named(app, tmp_path):
    path = tmp_path / "missing" / "users"
    result = call(app, "export", "--output", str(path))
    assert (result.exit_code, result.stderr) == (2, f"Error: {path}: No such file or directory.\n")


@pytest.mark.parametrize("count", [1, 500])  # one fits into the buffer, and is written at the end
def test_a_full_disk_behind_stdout_is_said(database, mongo_uri, count):
    database.users.insert_many({"email": f"{number}@example.com"} for number in range(count))
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    result = run("authservice", "users", "export", through=TO_FULL_DISK, **environment)
    assert result.returncode == 2
    said, *log = result.stderr.splitlines()
    assert said == "Error: stdout: No space left on device."
    assert [json.loads(line)["outcome"] for line in log] == ["stopped"]


def test_a_reader_who_has_enough_is_no_error(database, mongo_uri):
    database.users.insert_many({"email": f"{number}@example.com"} for number in range(5_000))
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    result = run("authservice", "users", "export", through=IN_PART, **environment)
    assert len(records(result.stdout)) == 1
    log, ended = result.stderr.splitlines()
    assert (json.loads(log)["outcome"], ended) == ("stopped", "exit 1")


def test_users_are_in_the_order_of_their_ids_over_all_pages(app, database, monkeypatch):
    monkeypatch.setattr("authservice.store.exports._PAGE", 2)
    ids = [ObjectId() for _ in range(5)]
    database.users.insert_many({"_id": one, "email": f"{one}@example.com"} for one in reversed(ids))
    database.users.insert_many([{"_id": "text", "email": "text@example.com"}, {"email": None}])
    result = call(app, "export")
    assert [record["id"] for record in records(result.stdout)] == [str(one) for one in ids]
    assert "Note: 2 documents left out: they have no e-mail, or an id that is no ObjectId.\n" in result.stderr


def test_one_document_that_is_left_out_is_one(app, database):
    database.users.insert_one({"email": None})
    result = call(app, "export")
    assert result.stderr.startswith("Note: 1 document left out: it has no e-mail, or an id that is no ObjectId.\n")


def test_it_says_that_factors_come_only_with_hashes(app, client):
    make_account(client, ALICE)
    note = "Note: Passwords, second factors and passkeys come along only with --with-hashes.\n"
    assert call(app, "export").stderr == note
    assert note not in call(app, "export", "--with-hashes", "--yes").stderr


def test_letters_of_any_alphabet_are_kept(app, database):
    database.users.insert_one({"email": "zoë@example.com", "profile": {"name": "Ζωή\u2028"}})
    (line,) = call(app, "export").stdout.splitlines(keepends=True) or [""]
    assert json.loads(line)["profile"]["name"] == "Ζωή\u2028"
