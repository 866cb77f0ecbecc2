"""Joins the records of one user that lie in several files, in any order.

They wait in a temporary database on the disk, because they need not fit into memory. SQLite deletes its file as soon as
it is open, so nothing is left even if the process is killed.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from typing import Any

from authservice.migration.moved import Joins, Unreadable
from authservice.migration.reading import TOO_DEEP, Found

_IN_ORDER = """
    SELECT key, name, file, line, record, rowid AS place FROM part WHERE name IS NOT :referred
    UNION ALL
    SELECT reference.key, name, file, line, record, part.rowid FROM reference JOIN part ON part.key = reference.target
    WHERE name IS :referred
    ORDER BY key, place
"""


def joined(found: Iterable[Found], joins: Joins) -> Iterator[Found]:
    """One record a user, ``{part: [record, ...]}``. What is unreadable or of no use comes first, as it is."""
    with closing(sqlite3.connect("", isolation_level=None)) as parts:
        parts.execute("PRAGMA journal_mode = OFF")
        parts.execute("PRAGMA cache_size = -65536")  # 64 MiB
        parts.execute("CREATE TABLE part (key TEXT, name TEXT, file TEXT, line INTEGER, record TEXT)")
        parts.execute("CREATE TABLE reference (key TEXT, target TEXT)")
        parts.execute("BEGIN")
        for one in found:
            part = _part(one, joins)
            if isinstance(part, tuple):
                parts.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?)", part)
                if isinstance(one.record, Mapping) and (target := joins.refers_to(one.record)):
                    parts.execute("INSERT INTO reference VALUES (?, ?)", (part[0], target))
            else:
                yield one._replace(record=part)
        parts.execute("CREATE INDEX by_key ON part (key)")
        rows = parts.execute(_IN_ORDER, {"referred": joins.referred})
        for _, of_user in groupby(rows, key=lambda row: row[0]):
            yield _user([*of_user], joins.main)


def _part(found: Found, joins: Joins) -> tuple[str, str, str, int, str] | Unreadable | None:
    if found.record is None or isinstance(found.record, Unreadable):
        return found.record
    try:
        place = joins.part_of(found.record)
        return place and (place[1], place[0], found.file, found.line, json.dumps(found.record))
    except RecursionError:
        return TOO_DEEP


def _user(rows: list[Any], main: str) -> Found:
    """Its line is that of the main record."""
    first = next((row for row in rows if row[1] == main), None)
    if first is None:
        _, name, file, line, *_ = rows[0]
        return Found(file, line, Unreadable(f"{name} without {main}"))
    record: dict[str, list[Any]] = {}
    for _, name, _, _, text, _ in rows:
        record.setdefault(name, []).append(json.loads(text))
    return Found(first[2], first[3], record)
