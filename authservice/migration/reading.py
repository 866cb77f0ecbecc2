"""Reads the records of an export. The format is found by the content: JSON, NDJSON or CSV, packed with gzip or not."""

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from authservice.migration import feed, json_stream
from authservice.migration.feed import RECORD_MAX_CHARACTERS, FaultyExport, Feed, is_utf8
from authservice.migration.json_stream import NOT_JSON
from authservice.migration.moved import Profile, Record, Unreadable

NOT_UTF8 = Unreadable("not UTF-8")
TOO_DEEP = Unreadable("nested too deeply")
_NO_OBJECT = Unreadable("not a JSON object")
_NO_ROW = Unreadable("not CSV")
_TOO_FEW_OR_MANY = Unreadable("not as many cells as the header has")
_LINE_MAX_CHARACTERS = 1024 * 1024  # of a first line that decides what the format is
_DELIMITERS = ",;\t"
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")


class Found(NamedTuple):
    """What an export has on a line: a record, the reason it is unreadable, or None if it is irrelevant."""

    file: str
    line: int
    record: Record | Unreadable | None


class Exports:
    """The files of an export, read one after the other."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._open: Feed | None = None
        self._bytes_done = 0
        self._bytes = feed.total_bytes(paths)

    def fraction(self) -> float | None:
        """How much has been read; None if the size is not known."""
        if self._bytes is None:
            return None
        position = self._open.position() if self._open else 0
        return min((self._bytes_done + position) / max(self._bytes, 1), 1.0)

    def records(self, profile: Profile) -> Iterator[Found]:
        """Raises FaultyExport where a file cannot be read any further."""
        for path in self._paths:
            with feed.opened(path) as self._open:
                yield from _records(self._open, profile)
                self._bytes_done += self._open.position()
            self._open = None


def _records(opened: Feed, profile: Profile) -> Iterator[Found]:
    path = tuple(profile.array.split(".")) if profile.array else ()
    start = opened.peek(_LINE_MAX_CHARACTERS)
    first = start.lstrip()[:1]
    if not first:
        raise FaultyExport(f"{opened.name}: empty")
    if first == "[" or (first == "{" and not _has_one_record_a_line(start, path)):
        for read in json_stream.records(json_stream.JSONStream(opened), path):
            yield Found(opened.name, read.line, _checked(read.value) if read.is_utf8 else NOT_UTF8)
    elif first == "{":
        for number, line in enumerate(opened.lines(), 1):
            if not line.isspace():
                yield Found(opened.name, number, _record_of(line))
    else:
        yield from _rows(opened, profile, _delimiter_of(opened.name, start))


def _has_one_record_a_line(start: str, path: tuple[str, ...]) -> bool:
    line, is_whole, _ = start.lstrip().partition("\n")
    if not is_whole and len(start) == _LINE_MAX_CHARACTERS:
        return not path
    record = _record_of(line)
    if isinstance(record, Unreadable):
        return not path and line.strip() != "{"  # a faulty record, or an object on several lines
    return not path or path[0] not in record


def _record_of(line: str) -> Record | Unreadable:
    if not is_utf8(line):
        return NOT_UTF8
    try:
        return _checked(json.loads(line, parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return NOT_JSON


def _checked(value: Any) -> Record | Unreadable:
    return value if isinstance(value, (dict, Unreadable)) else _NO_OBJECT


def _delimiter_of(name: str, start: str) -> str:
    if start.startswith(_UTF_16):
        raise FaultyExport(f"{name}: UTF-16; convert it to UTF-8")
    header = start.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=header.count)
    if delimiter not in header or "\0" in start or not is_utf8(header):
        raise FaultyExport(
            f"{name}: neither JSON nor CSV with a header. Convert it, or pack it with gzip if it is packed otherwise"
        )
    return delimiter


class _Lines:
    """The lines of CSV. Raises FaultyExport for a row that is too long: it may have many lines and cells."""

    def __init__(self, opened: Feed) -> None:
        self._lines, self._name = opened.lines(), opened.name
        self._characters = self._number = self._first = 0

    def begin_row(self) -> None:
        self._characters, self._first = 0, self._number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._number += 1
        self._characters += len(line)
        if self._characters > RECORD_MAX_CHARACTERS:
            raise FaultyExport(
                f"{self._name}, line {self._first}: a row of more than {RECORD_MAX_CHARACTERS:,} characters, "
                "or a quote that is not closed"
            )
        return line


def _rows(opened: Feed, profile: Profile, delimiter: str) -> Iterator[Found]:
    limit = csv.field_size_limit(RECORD_MAX_CHARACTERS)  # of the whole process, and 128 KiB by default
    try:
        lines = _Lines(opened)
        lines.begin_row()
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        first = [name.strip() for name in next(rows)]
        has_header = not profile.csv_header or not {*profile.csv_header, *profile.columns_of_csv}.isdisjoint(first)
        header = [profile.columns_of_csv.get(name, name) for name in (first if has_header else profile.csv_header)]
        if not has_header:
            yield Found(opened.name, 1, _row(header, first))
        while True:
            line = rows.line_num + 1
            lines.begin_row()
            try:
                row = next(rows, None)
            except csv.Error:
                yield Found(opened.name, line, _NO_ROW)
                continue
            if row is None:
                return
            if row:
                yield Found(opened.name, line, _row(header, row))
    except csv.Error:  # of the header
        raise FaultyExport(f"{opened.name}, line 1: not CSV") from None
    finally:
        csv.field_size_limit(limit)


def _row(header: Sequence[str], row: Sequence[str]) -> Record | Unreadable:
    """An empty cell counts as absent."""
    if len(row) != len(header):
        return _TOO_FEW_OR_MANY
    if not all(map(is_utf8, row)):
        return NOT_UTF8
    return {name: cell for name, cell in zip(header, row, strict=True) if cell}
