"""The log says who moved users, also if it did not come to its end: users and hashes may have moved by then."""

import json

import pytest

from authservice.migration import exporting, importing
from authservice.store import imports
from tests.api.answers import captured_log
from tests.migration.importing import call, ndjson, user, write


def events(log, event):
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    names = ("outcome", "users", "hashes")
    return [[line[name] for name in names if name in line] for line in lines if line["event"] == event]


def stopping(function, error):
    """Before its second call."""
    called = []

    def call_once(*arguments):
        called.append(arguments)
        if len(called) == 2:
            raise error
        return function(*arguments)

    return call_once


@pytest.mark.parametrize("dry", [True, False])
def test_an_import_that_is_stopped(app, tmp_path, monkeypatch, dry):
    monkeypatch.setattr(importing, "BATCH", 1)
    monkeypatch.setattr(imports, "keys_here", stopping(imports.keys_here, KeyboardInterrupt))
    export = write(tmp_path, ndjson(user(1), user(2)))
    with captured_log() as log:
        ended = call(app, "import", "--from", "nestjs", export, *["--dry-run"] * dry)
    assert ended.exit_code == 130
    assert events(log, "import_users") == ([] if dry else [["stopped", 1]])


def test_an_import_of_a_file_that_is_cut_off(app, tmp_path):
    with captured_log() as log:
        assert call(app, "import", "--from", "nestjs", write(tmp_path, f"[{json.dumps(user(1))},")).exit_code == 2
    assert events(log, "import_users") == [["stopped", 1]]


def test_an_import_that_comes_to_its_end(app, tmp_path):
    with captured_log() as log:
        call(app, "import", "--from", "nestjs", write(tmp_path, ndjson(user(1))))
    assert events(log, "import_users") == [["ok", 1]]


@pytest.mark.parametrize("hashes", [True, False])
def test_an_export_that_is_stopped(app, database, monkeypatch, hashes):
    database.users.insert_many([{"email": f"u{number}@example.com"} for number in range(3)])
    monkeypatch.setattr(exporting, "_record", stopping(exporting._record, KeyboardInterrupt))
    with captured_log() as log:
        ended = call(app, "export", *["--with-hashes", "--yes"] * hashes)
    assert (ended.exit_code, len(ended.stdout.splitlines())) == (1, 1)
    started = [["started", 0, True]] if hashes else []
    assert events(log, "export_users") == [*started, ["stopped", 1, hashes]]


def test_an_export_with_hashes_is_recorded_before_its_first_line(app, monkeypatch):
    with captured_log() as log:
        seen = []
        monkeypatch.setattr(exporting, "lines", lambda **options: seen.append(events(log, "export_users")) or [])
        call(app, "export", "--with-hashes", "--yes")
        assert seen == [[["started", 0, True]]]
    assert events(log, "export_users") == [["started", 0, True], ["ok", 0, True]]
