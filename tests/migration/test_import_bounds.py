"""Big and hostile records: an import takes little memory, and one record does not end it."""

import json
import tracemalloc
from dataclasses import replace

import pytest

from authservice.migration import importing, reading
from authservice.migration.feed import FaultyExport
from authservice.migration.importing import import_users
from authservice.migration.profiles import PROFILES
from authservice.migration.reading import Exports, Found
from authservice.store import imports
from tests.migration.importing import imported, ndjson, rejected, user, write

MIB = 1024 * 1024


def peak_of(import_):
    tracemalloc.start()
    try:
        import_()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_whole_records_do_not_wait_in_a_batch(app):
    """Of fields that no document has."""
    found = (Found("x", number, user(number, avatar="x" * 500_000 + str(number))) for number in range(200))

    def run():
        with app.app_context():
            imports.build_index()
            assert len([*import_users(PROFILES["nestjs"], found, with_roles=False)]) == 200

    assert peak_of(run) < 20 * MIB


def test_big_documents_are_written_a_few_at_a_time(app, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_BYTES", 100_000)
    sizes, insert = [], imports.insert

    def counting(documents):
        sizes.append(len(documents))
        return insert(documents)

    monkeypatch.setattr(imports, "insert", counting)
    records = [
        {"id": f"{number:024x}", "email": f"u{number}@example.com", "profile": {"text": "x" * 60_000}}
        for number in range(5)
    ]
    assert imported(app, write(tmp_path, ndjson(*records)), profile="authservice") == {"imported": 5}
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("row", ['1,"{}\n{}\n{}"\n'.format(*["x" * 400] * 3), "1," + "x" * 1_100 + "\n"])
def test_a_row_that_is_too_long_is_named(tmp_path, monkeypatch, row):
    monkeypatch.setattr(reading, "RECORD_MAX_CHARACTERS", 1_000)
    export = write(tmp_path, f"id,email\n2,{'x' * 900}\n3,{'x' * 900}\n{row}5,a\n")
    with pytest.raises(FaultyExport, match="line 4: a row of more than 1,000 characters"):
        [*Exports([export]).records(PROFILES["nestjs"])]


def follows_nesting(profile):
    def read(record):
        return read(record) if record["id"] == "u2" else profile.read(record)

    return replace(profile, read=read)


def test_a_record_that_is_nested_too_deeply_does_not_end_the_import(app, tmp_path, monkeypatch):
    monkeypatch.setitem(PROFILES, "nestjs", follows_nesting(PROFILES["nestjs"]))
    path = tmp_path / "rejects"
    export = write(tmp_path, ndjson(user(1), user(2), user(3)))
    table = imported(app, export, exit_code=1, options=("--rejects", str(path)))
    assert table == {"imported": 2, "unreadable": 1, "nested too deeply": 1}
    assert rejected(path) == [{"line": 2, "reason": "nested too deeply"}]


def test_nor_does_one_of_several_files(app, tmp_path, monkeypatch):
    real = json.dumps

    def dumps(record, **options):
        if isinstance(record, dict) and record.get("name") == "deep":
            raise RecursionError
        return real(record, **options)

    monkeypatch.setattr("authservice.migration.joining.json.dumps", dumps)
    users = [{"id": f"u{number}", "email": f"u{number}@example.com", "emailVerified": True} for number in (1, 2)]
    export = write(tmp_path, json.JSONEncoder().encode([users[0], {**users[1], "name": "deep"}]))
    table = imported(app, export, profile="better-auth", exit_code=1)
    assert table == {"imported": 1, "unreadable": 1, "nested too deeply": 1}
