"""What an import is given, and what a hash needs, is checked and named."""

import sqlite3
from types import SimpleNamespace

import pytest

from authservice.migration import feed, importing
from authservice.migration.profiles import PROFILES
from tests.migration.importing import HASH, call, imported, ndjson, table_of, user, write


def test_an_unknown_profile_is_refused_with_those_that_there_are(app, tmp_path):
    refused = call(app, "import", "--from", "nonesuch", write(tmp_path, ndjson(user(1))))
    assert refused.exit_code == 2
    for name in PROFILES:
        assert name in refused.stderr


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["-", "missing"], "Error: missing: No such file or directory.\n"),
        (["."], "Error: .: Is a directory.\n"),
        (["-", "-"], "Error: - can be given once.\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(app, files, said):
    refused = call(app, "import", "--from", "nestjs", *files)
    assert (refused.exit_code, refused.stderr) == (2, said)


def test_what_comes_before_a_fault_is_imported_and_counted(app, tmp_path):
    export = write(tmp_path, f"[{ndjson(user(1)).strip()},\n{ndjson(user(2)).strip()},\n{{")
    refused = call(app, "import", "--from", "nestjs", export)
    assert refused.exit_code == 2
    assert "imported                2\n" in refused.stdout
    assert f"{export}, line 3: not JSON" in refused.stderr
    for secret in (HASH, "user1@example.com"):
        assert secret not in refused.output


def test_no_user_at_all_is_refused(app, tmp_path):
    refused = call(app, "import", "--from", "nestjs", write(tmp_path, "[]"))
    assert refused.exit_code == 1
    assert refused.stderr.endswith("Error: no user was found.\n")


def test_a_database_that_is_away_is_named(make_app, tmp_path):
    app = make_app(MONGO_URI="mongodb://127.0.0.1:1/x", MONGO_TIMEOUT_MS=100)
    refused = call(app, "import", "--from", "nestjs", write(tmp_path, ndjson(user(1))))
    assert refused.exit_code == 3
    assert "Does it run, and is FLASK_MONGO_URI right?" in refused.stderr


def test_a_setting_that_hashes_need_is_named(app, make_app, tmp_path):
    users = [{"_id": f"u{number}", "email": f"user{number}@example.com"} for number in (1, 2)]
    export = write(tmp_path, ndjson(*({**one, "password": f"$flask-security${HASH}"} for one in users)))
    dry = call(app, "import", "--from", "authservice", export, "--dry-run")
    assert "2 of the imported cannot sign in before FLASK_LEGACY_PEPPER is set." in dry.stderr
    done = call(make_app(LEGACY_PEPPER="pepper"), "import", "--from", "authservice", export)
    assert (done.exit_code, "FLASK_LEGACY_PEPPER" in done.stderr) == (0, False)


FEATHERS = [{"_id": f"u{number}", "email": f"u{number}@example.com", "hash": HASH} for number in (1, 2)]
OF_GOOGLE = [{"_id": f"a{number}", "userId": f"u{number}", "providerId": "google"} for number in (1, 2)]
ALSO = "If they have none there either, add --without-passwords: they set one by mail."


@pytest.mark.parametrize(
    ("profile", "files", "why"),
    [
        ("parse", [FEATHERS], ""),
        ("better-auth", [FEATHERS, OF_GOOGLE], "Give the file of accounts as well: the passwords are in it. "),
        ("authservice", [FEATHERS], "Passwords are in the export only with --with-hashes. "),
    ],
)
def test_many_users_without_any_password_are_imported_only_if_told_so(
    app, database, tmp_path, monkeypatch, profile, files, why
):
    monkeypatch.setattr(importing, "MANY", len(FEATHERS))
    paths = [write(tmp_path, ndjson(*records), f"{number}") for number, records in enumerate(files)]
    said = f"Error: none of the 2 users read so far has a password. Is --from {profile} right? {why}{ALSO}\n"
    for options in (["--dry-run"], []):
        refused = call(app, "import", "--from", profile, *paths, *options)
        assert (refused.exit_code, refused.stderr) == (2, said)
    assert database.users.estimated_document_count() == 0
    for options in (["--dry-run"], []):
        done = call(app, "import", "--from", profile, *paths, "--without-passwords", *options)
        assert done.exit_code == 0
    assert database.users.estimated_document_count() == len(FEATHERS)


def test_what_is_no_user_does_not_hide_that_there_is_no_password(app, database, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(importing, "MANY", 2)
    records = [{"email": "x"}, *(user(number, password=None) for number in (1, 2, 3))]
    stopped = call(app, "import", "--from", "nestjs", write(tmp_path, ndjson(*records)))
    assert (stopped.exit_code, table_of(stopped.stdout)["imported"]) == (2, 1)
    assert "none of the 3 users read so far" in stopped.stderr
    assert database.users.estimated_document_count() == 1


@pytest.mark.parametrize("profile", ["nestjs", "better-auth"])
def test_a_few_are_imported_all_the_same(app, database, tmp_path, monkeypatch, profile):
    monkeypatch.setattr(importing, "MANY", 1 + len(FEATHERS))
    done = call(app, "import", "--from", profile, write(tmp_path, ndjson(*FEATHERS)))
    assert (done.exit_code, table_of(done.stdout)) == (0, {"imported": 2})
    assert "2 of the imported have no password" in done.stderr


@pytest.mark.parametrize(
    "files", [[FEATHERS, [*OF_GOOGLE, {"userId": "u2", "providerId": "credential", "password": HASH}]]]
)
def test_one_password_in_files_that_are_joined_is_enough(app, tmp_path, monkeypatch, files):
    monkeypatch.setattr(importing, "MANY", 1)
    paths = [write(tmp_path, ndjson(*records), f"{number}") for number, records in enumerate(files)]
    assert imported(app, *paths, profile="better-auth") == {"imported": 2, "skipped": 2}


def test_one_password_is_enough(app, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(importing, "MANY", 2)
    records = [
        {"email": "x"},
        {"email": "y"},
        user(1, password=None),
        user(2),
        user(3, password=None),
        user(4, password=None),
    ]
    table = imported(app, write(tmp_path, ndjson(*records)), exit_code=1)
    assert table["imported"] == 4


def test_devise_may_have_no_pepper(app, make_app, tmp_path):
    """Nothing in a hash tells."""
    records = [
        {"_id": f"u{number}", "email": f"u{number}@example.com", "encrypted_password": HASH} for number in (1, 2)
    ]
    for number, have in ((1, "1 of the imported has a hash"), (2, "2 of the imported have hashes")):
        export = write(tmp_path, ndjson(*records[:number]))
        dry = call(app, "import", "--from", "devise", export, "--dry-run")
        assert dry.stderr == f"Note: {have} of Devise: if Devise has a pepper, set FLASK_LEGACY_PEPPER.\n"
    assert call(make_app(LEGACY_PEPPER="pepper"), "import", "--from", "devise", export, "--dry-run").stderr == ""


def test_an_export_without_passwords_is_explained(app, tmp_path):
    profile = next(profile for profile in PROFILES.values() if profile.why_empty)
    done = call(app, "import", "--from", profile.name, write(tmp_path, "[]" if not profile.array else '{"x": 1}'))
    assert profile.why_empty in done.stderr


def test_roles_that_were_not_asked_for_are_counted(app, tmp_path):
    export = write(tmp_path, ndjson(user(1, roles=["editor"]), user(2), user(3, roles=["admin", "editor"])))
    note = (
        "Note: 2 of the imported have roles, which come only with --roles, and only at the first import. Later: "
        "authservice users grant EMAIL ROLE.\n"
    )
    for options, is_said in ((["--dry-run"], True), (["--dry-run", "--roles"], False), ([], True)):
        assert (note in call(app, "import", "--from", "nestjs", export, *options).stderr) == is_said


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_roles_of_users_who_are_here_stay_as_they_are(app, database, tmp_path, options):
    export = write(tmp_path, ndjson(user(1, roles=["editor"]), user(2), user(3, roles=["Chief Editor"])))
    imported(app, export)
    result = call(app, "import", "--from", "nestjs", export, "--roles", *options)
    assert result.stderr.splitlines()[-1] == (
        "Note: 2 of the users already here have roles in the export. An import leaves their roles here as they are. "
        "If they lack some: authservice users grant EMAIL ROLE."
    )
    assert "roles" not in call(app, "import", "--from", "nestjs", export, *options).stderr
    assert [one["roles"] for one in database.users.find()] == [[]] * 3


def test_an_empty_file_is_named_and_nothing_else_is_said(app, tmp_path):
    export = write(tmp_path, "")
    refused = call(app, "import", "--from", "nestjs", export)
    assert (refused.exit_code, refused.output) == (2, f"Error: {export}: empty.\n")


def test_a_closed_stdin_is_named(app, monkeypatch):
    monkeypatch.setattr(feed, "sys", SimpleNamespace(stdin=None))
    refused = call(app, "import", "--from", "nestjs", "-")
    assert (refused.exit_code, refused.output) == (2, "Error: stdin: closed.\n")


@pytest.mark.parametrize(("profile", "options"), [("nestjs", ["--dry-run"]), ("better-auth", [])])
def test_a_full_disk_for_temporary_files_is_named(app, database, tmp_path, monkeypatch, profile, options):
    """As with a small limit of the file size, which would also stop the database here."""
    connect = sqlite3.connect

    def small(*arguments, **named):
        connection = connect(*arguments, **named)
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    export = write(tmp_path, ndjson(*map(user, range(500))))
    refused = call(app, "import", "--from", profile, export, *options)
    assert refused.exit_code == 2
    assert refused.stderr == (
        "Error: temporary files cannot be written: database or disk is full. "
        "Set SQLITE_TMPDIR to a folder with more room, and run the same command again.\n"
    )
    assert database.users.estimated_document_count() == 0
