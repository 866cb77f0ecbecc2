"""--rejects has a line for each refused record, with the reason and nothing of the record."""

import stat

import pytest

from tests.migration.importing import call, imported, ndjson, rejected, table_of, user, write

EXPORT = ndjson(user(1), user(2, email="User1@example.com"), user(3, email="none")) + "{broken\n" + ndjson(user(4))
REFUSED = [
    {"line": 2, "reason": "e-mail taken"},
    {"line": 3, "reason": "no e-mail"},
    {"line": 4, "reason": "not JSON"},
]
TABLE = {"e-mail taken": 1, "unreadable": 2, "no e-mail": 1, "not JSON": 1}


def test_every_refused_record_has_a_line_after_every_run(app, tmp_path):
    export, path = write(tmp_path, EXPORT), tmp_path / "rejects"
    for table in ({"imported": 2}, {"already here": 2}):
        options = ("--rejects", str(path))
        assert imported(app, export, exit_code=1, options=options) == {**table, **TABLE}
        assert rejected(path) == REFUSED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dry_run_writes_the_same(app, tmp_path):
    export, path = write(tmp_path, EXPORT), tmp_path / "rejects"
    imported(app, export, exit_code=1, options=("--rejects", str(path), "--dry-run"))
    assert rejected(path) == REFUSED


def test_of_several_files_the_file_is_named(app, tmp_path):
    files = [write(tmp_path, ndjson(user(1)), "a"), write(tmp_path, "{broken\n" + ndjson(user(2)), "b")]
    path = tmp_path / "rejects"
    imported(app, *files, exit_code=1, options=("--rejects", str(path)))
    assert rejected(path) == [{"file": files[1], "line": 1, "reason": "not JSON"}]


def test_nothing_refused_leaves_an_empty_file(app, tmp_path):
    path = tmp_path / "rejects"
    path.write_text("of an earlier run\n")
    imported(app, write(tmp_path, ndjson(user(1))), options=("--rejects", str(path)))
    assert path.read_text() == ""


def test_the_export_is_not_overwritten(app, tmp_path):
    export = write(tmp_path, EXPORT)
    refused = call(app, "import", "--from", "nestjs", export, "--rejects", export)
    assert (refused.exit_code, refused.stderr) == (2, f"Error: --rejects would overwrite {export}.\n")
    assert (tmp_path / "export").read_text() == EXPORT


def test_a_path_that_cannot_be_written_is_named(app, tmp_path):
    path = tmp_path / "missing" / "rejects"
    refused = call(app, "import", "--from", "nestjs", write(tmp_path, EXPORT), "--rejects", str(path))
    assert (refused.exit_code, refused.stderr) == (2, f"Error: {path}: No such file or directory.\n")


@pytest.mark.parametrize("to", ["kept", "/dev/stdout"])
def test_a_link_is_not_followed(app, tmp_path, to):
    (tmp_path / "kept").write_text("kept")
    path = tmp_path / "rejects"
    path.symlink_to(to)
    refused = call(app, "import", "--from", "nestjs", write(tmp_path, EXPORT), "--rejects", str(path))
    assert (refused.exit_code, refused.stderr) == (2, f"Error: {path}: a symbolic link.\n")
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_file_that_is_there_becomes_its_owners_alone(app, tmp_path):
    path = tmp_path / "rejects"
    path.write_text("of an earlier run\n" * 100)
    path.chmod(0o644)
    imported(app, write(tmp_path, EXPORT), exit_code=1, options=("--rejects", str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert rejected(path) == REFUSED


def test_a_device_is_written_to(app, tmp_path):
    imported(app, write(tmp_path, EXPORT), exit_code=1, options=("--rejects", "/dev/null"))


def test_an_index_of_another_stack_refuses_users_who_are_not_here(app, database, tmp_path):
    """A missing username is indexed as null, so a second user without one is a duplicate."""
    database.users.create_index("username", unique=True)
    export, path = write(tmp_path, ndjson(user(1), user(2), user(1), user(3))), tmp_path / "rejects"
    for table in ({"imported": 1, "already here": 1}, {"already here": 2}):
        got = imported(app, export, exit_code=1, options=("--rejects", str(path)))
        assert got == {**table, "unreadable": 2, "refused by the database": 2}
        assert rejected(path) == [{"line": line, "reason": "refused by the database"} for line in (2, 4)]
    assert database.users.distinct("legacy.id") == ["u1"]


def test_a_full_disk_does_not_hide_what_was_done(app, database, tmp_path):
    refused = call(app, "import", "--from", "nestjs", write(tmp_path, EXPORT), "--rejects", "/dev/full")
    assert refused.exit_code == 2
    assert table_of(refused.stdout) == {"imported": 2, **TABLE}
    assert refused.stderr.endswith(
        "Error: /dev/full: No space left on device. Running the same command again resumes.\n"
    )
    assert database.users.estimated_document_count() == 2
