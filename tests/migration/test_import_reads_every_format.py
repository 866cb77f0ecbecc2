"""JSON, NDJSON and CSV, packed or not, from files or stdin: the content tells the format."""

import csv
import io
import json

import pytest

from authservice.migration import feed, json_stream
from authservice.migration.moved import Profile, Unreadable
from authservice.migration.reading import Exports
from tests.migration.importing import HASH, imported, ndjson, packed, user, write

USERS = [user(1), user(2)]


def as_csv(records, delimiter=","):
    written = io.StringIO()
    rows = csv.DictWriter(written, records[0], delimiter=delimiter)
    rows.writeheader()
    rows.writerows(records)
    return written.getvalue()


FORMATS = {
    "array": json.dumps(USERS),
    "array on lines": json.dumps(USERS, indent=2),
    "NDJSON": ndjson(*USERS),
    "NDJSON, last line open": ndjson(*USERS).rstrip(),
    "NDJSON of Windows": ndjson(*USERS).replace("\n", "\r\n"),
    "one line": ndjson(USERS[0]) + "\n\n" + ndjson(USERS[1]),
    "CSV": as_csv(USERS),
    "CSV with semicolons": as_csv(USERS, ";"),
    "CSV with tabs": as_csv(USERS, "\t"),
}


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("pack", [str.encode, packed, lambda text: b"\xef\xbb\xbf" + text.encode()])
def test_a_file_is_read_whatever_its_name(app, database, tmp_path, content, pack):
    assert imported(app, write(tmp_path, pack(content))) == {"imported": 2}
    assert database.users.distinct("email") == ["user1@example.com", "user2@example.com"]
    assert database.users.distinct("password") == [HASH]


@pytest.mark.parametrize("pack", [str.encode, packed])
def test_stdin_is_read(app, pack):
    assert imported(app, "-", stdin=pack(ndjson(*USERS))) == {"imported": 2}


def test_several_files_are_one_export(app, tmp_path):
    files = [write(tmp_path, ndjson(user(number)), str(number)) for number in (1, 2)]
    assert imported(app, *files, "-", stdin=ndjson(user(3)).encode()) == {"imported": 3}


def read(tmp_path, content, array=None, **more):
    profile = Profile("own", "Own", lambda record: None, array=array, **more)
    return [(found.line, found.record) for found in Exports([write(tmp_path, content)]).records(profile)]


RECORDS = [{"id": 1}, {"id": 2}]
UNDER = {
    "in one line": ('{"users": [{"id": 1}, {"id": 2}], "more": {}}', "users", [1, 1]),
    "on lines": ('{\n"kept": {"users": 7},\n"users": [\n{"id": 1},\n{"id": 2}]}\n', "users", [4, 5]),
    "deep": ('{"realms": [{"users": [{"id": 1}]},\n{"a": 1, "users": [{"id": 2}]}]}', "realms.users", [1, 2]),
    "in objects": ('{"data": {"users": [{"id": 1}, {"id": 2}]}}', "data.users", [1, 1]),
    "several objects": ('[{"realm": "a", "users": [{"id": 1}]},\n{"users": [{"id": 2}]}]', "users", [1, 2]),
    "bare array": ('[{"id": 1},\n{"id": 2}]', "users", [1, 2]),
    "bare lines": ('{"id": 1}\n{"id": 2}\n', "users", [1, 2]),
    "empty and full": ('[{"users": []}, {"users": [{"id": 1}, {"id": 2}]}]', "users", [1, 1]),
}


@pytest.mark.parametrize(("content", "array", "lines"), UNDER.values(), ids=UNDER)
def test_users_are_found_where_the_profile_says(tmp_path, content, array, lines):
    assert read(tmp_path, content, array) == [*zip(lines, RECORDS, strict=True)]


@pytest.mark.parametrize("piece", [1, 2, 7, 64])
def test_a_record_may_lie_across_pieces(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(feed, "_PIECE_CHARACTERS", piece)
    records = [{"id": number, "text": 'x\\"é\n' * number, "number": 1234567} for number in range(5)]
    for content in (json.dumps(records), json.dumps(records, indent=1), ndjson(*records)):
        assert [record for _, record in read(tmp_path, content)] == records


def test_a_big_field_is_read(tmp_path):
    big = "x" * 300_000
    for content in (as_csv([{"id": "1", "text": big}]), ndjson({"id": "1", "text": big})):
        assert read(tmp_path, content)[0][1] == {"id": "1", "text": big}


def test_a_line_is_where_the_record_begins(tmp_path):
    text = 'id,text\n1,"two\nlines"\n\n2,x\n'
    assert read(tmp_path, text) == [(2, {"id": "1", "text": "two\nlines"}), (5, {"id": "2", "text": "x"})]
    array = '\n\n[\n{"id":\n1},\n\n{"id": 2}]'
    assert [line for line, _ in read(tmp_path, array)] == [4, 7]


def test_columns_have_the_names_of_the_profile(tmp_path):
    renamed = read(tmp_path, "Id,e-mail\n1,a\n", columns_of_csv={"e-mail": "email"})
    assert renamed == [(2, {"Id": "1", "email": "a"})]
    for content in ("1,a\n", "id,email\n1,a\n"):
        assert [*read(tmp_path, content, csv_header=("id", "email"))][-1][1] == {"id": "1", "email": "a"}


UNREADABLE = {
    "no JSON": ('{"id": 1}\n{"id": \n{"id": 2}\n', [2], "not JSON"),
    "no object": ('{"id": 1}\n[1]\n{"id": 2}', [2], "not a JSON object"),
    "no object in an array": ('[{"id": 1}, "x", {"id": 2}]', [1], "not a JSON object"),
    "bytes": (b'{"id": 1}\n{"id": "\xff"}\n{"id": 2}\n', [2], "not UTF-8"),
    "bytes in an array": (b'[{"id": 1},\n{"id": "\xff"},\n{"id": 2}]', [2], "not UTF-8"),
    "nesting": ('{"id": 1}\n' + "[" * 100_000 + '\n{"id": 2}', [2], "not JSON"),
    "nesting in an array": (
        '[{"id": 1},\n{"a": ["\\"]", ' + "[" * 99_999 + "]" * 99_999 + ']},{"id": 2}]',
        [2],
        "not JSON",
    ),
    "a number in an array": ('[{"id": 1},\n{"id": ' + "9" * 5_000 + '},\n{"id": 2}]', [2], "not JSON"),
    "a first line": ('{"id"\n{"id": 1}\n{"id": 2}', [1], "not JSON"),
}


@pytest.mark.parametrize(("content", "lines", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_one_bad_record_does_not_hide_the_others(tmp_path, content, lines, reason):
    found = read(tmp_path, content)
    assert [record for _, record in found if not isinstance(record, Unreadable)] == RECORDS
    refused = [(line, record.reason) for line, record in found if isinstance(record, Unreadable)]
    assert refused == [(line, reason) for line in lines]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"3", "not as many cells as the header has"),
        (b"3,4,5", "not as many cells as the header has"),
        (b"\xff,4", "not UTF-8"),
        (b'"a"b,4', "not CSV"),
    ],
)
def test_one_bad_row_does_not_hide_the_others(tmp_path, row, reason):
    found = read(tmp_path, b"id,text\n1,x\n" + row + b"\n2,x\n")
    assert found[1] == (3, Unreadable(reason))
    assert [record for _, record in found[::2]] == [{"id": "1", "text": "x"}, {"id": "2", "text": "x"}]


FAULTY = {
    "empty": ("", "{}: empty"),
    "white": (" \n\n ", "{}: empty"),
    "cut array": ('[{"id": 1},\n{"id": 2}', "{}, line 2: the file ends too early"),
    "cut record": ('[{"id": 1},\n{"id": 2', "{}, line 2: not JSON: expecting ',' delimiter"),
    "no JSON": ('[{"id": 1},\n{"id": 2},\n{nonsense}, 3]', "{}, line 3: not JSON: expecting property name enclosed"),
    "more": ('[{"id": 1},{"id": 2}] []', "{}, line 1: more follows after the end of the JSON"),
    "one object": ('{\n"users": []}', "{}, line 1: one JSON object, where an array of users"),
    "text": ("Dear Sir\n", "{}: neither JSON nor CSV with a header"),
    "zip": (b"PK\x03\x04,\x00,\x00\n", "{}: neither JSON nor CSV"),
    "UTF-16": ("id,email\n".encode("utf-16"), "{}: UTF-16; convert it to UTF-8"),
    "cut gzip": (
        packed(ndjson(*RECORDS))[:-5],
        "{}: the gzip data is damaged or cut off, and up to 1,048,576 characters",
    ),
}


@pytest.mark.parametrize(("content", "said"), FAULTY.values(), ids=FAULTY)
def test_a_file_that_cannot_be_read_is_named_with_the_place(tmp_path, content, said):
    with pytest.raises(feed.FaultyExport) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(said.format(tmp_path / "export"))


def test_a_missing_array_is_named(tmp_path):
    with pytest.raises(feed.FaultyExport, match="line 3: the object has no array users"):
        read(tmp_path, '{\n"people": []\n}', "users")


def test_a_record_without_end_is_given_up(tmp_path, monkeypatch):
    for module in (feed, json_stream):
        monkeypatch.setattr(module, "RECORD_MAX_CHARACTERS", 1_000)
    monkeypatch.setattr(feed, "_PIECE_CHARACTERS", 100)
    with pytest.raises(feed.FaultyExport, match="a record of more than 1,000 characters"):
        read(tmp_path, '[{"id": "' + "x" * 5_000)
    with pytest.raises(feed.FaultyExport, match="a line of more than 1,000 characters"):
        read(tmp_path, '{"id": 1}\n{"id": "' + "x" * 1_100_000)


def test_a_bad_number_of_an_object_that_may_have_users_is_one_bad_record(tmp_path):
    found = read(tmp_path, '[{"id": 1, "n": ' + "9" * 5_000 + '},\n{"id": 2}]', "users")
    assert found == [(1, Unreadable("not JSON")), (2, {"id": 2})]


@pytest.mark.parametrize("piece", [1_000, 7_777])
def test_deep_nesting_may_lie_across_pieces(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(feed, "_PIECE_CHARACTERS", piece)
    deep = '{"a": ["]}\\"", ' + "[" * 99_999 + '"[\\\\"' + "]" * 99_999 + "]}"
    found = read(tmp_path, f'[{{"id": 1}}, {deep}, {{"id": 2}}]')
    assert [record for _, record in found] == [{"id": 1}, Unreadable("not JSON"), {"id": 2}]
