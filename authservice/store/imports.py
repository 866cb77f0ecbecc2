"""Writes users of other stacks in batches, each once: the unique index on ``legacy.key`` knows who is here.

legacy: { key: "<profile>:<id there>", from: "<profile>", id: "<id there>", work?: float }
"""

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import bson
from bson import ObjectId
from bson.errors import BSONError
from pymongo.errors import BulkWriteError

from authservice.store import indexes
from authservice.store.clock import now
from authservice.store.patience import patient
from authservice.store.users import collection

T = TypeVar("T")

KEY_INDEX = "legacy_key"
_DUPLICATE_KEY = 11_000
# In one read. The embedded server compares each document that it finds with all values: 1,000 take 2 s, 100 take 40 ms.
_ASKED = 100
_EMAILS = {"email": 1, "formerEmails.email": 1}
_DOCUMENT_MAX_BYTES = 16_000_000  # MongoDB's own limit is a little above it


class Fate(enum.Enum):
    """What became of a user."""

    IMPORTED = enum.auto()
    HERE = enum.auto()  # and left as it is
    TAKEN = enum.auto()  # the e-mail
    OTHER_EMAIL = enum.auto()  # here by the id, with another e-mail, and left as it is
    REFUSED = enum.auto()  # by the database, for example by a validator or a unique index of another stack


def build_index() -> None:
    """The index that prevents duplicate users. Built before the first write."""
    with patient("build_index"):
        collection().create_index("legacy.key", unique=True, sparse=True, name=KEY_INDEX)


def keys_here(keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The documents that have one of the keys, with ``_id``, ``email`` and what the e-mail was before."""
    found: list[dict[str, Any]] = []
    for asked in _in_parts(keys):
        with patient("keys_here"):
            found += collection().find({"legacy.key": {"$in": asked}}, {"legacy.key": 1, **_EMAILS})
    return {_key(document): document for document in found}


def ids_here(ids: Iterable[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
    """The documents that have one of the ids, with the same."""
    found: list[dict[str, Any]] = []
    for asked in _in_parts(ids):
        with patient("ids_here"):
            found += collection().find({"_id": {"$in": asked}}, _EMAILS)
    return {document["_id"]: document for document in found}


def taken(spellings: Iterable[str]) -> list[str]:
    """The e-mails that are one of ``spellings``, in any case, and are a document's, or reserved for it."""
    found: list[Any] = []
    for asked in _in_parts({spelling.lower() for spelling in spellings}):
        reserved = {"formerEmails.email": {"$in": asked}, "formerEmails.until": {"$gt": now()}}
        with patient("taken"):
            # In this order: an e-mail is given up in one write, so it is found by the one or the other.
            held = [*collection().find({"email": {"$in": asked}}, {"email": 1}, collation=indexes.ANY_CASE)]
            former = [*collection().find(reserved, {"formerEmails.email": 1}, collation=indexes.ANY_CASE)]
        found += [document.get("email") for document in held]
        found += [
            one.get("email")
            for document in former
            for one in _listed(document["formerEmails"])
            if isinstance(one, dict)
        ]
    return [email for one in found for email in _listed(one) if isinstance(email, str)]


def _in_parts(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while part := [*islice(rest, _ASKED)]:
        yield part


def _listed(value: Any) -> list[Any]:
    """Another stack may store a list, or one value."""
    return value if isinstance(value, list) else [value]


def size_of(document: Mapping[str, Any]) -> int | None:
    """In bytes; None if it cannot be stored."""
    try:
        size = len(bson.encode(document))
    except (BSONError, OverflowError, UnicodeEncodeError, ValueError, TypeError, RecursionError):
        return None
    return size if size <= _DOCUMENT_MAX_BYTES else None


def insert(documents: Sequence[dict[str, Any]]) -> list[Fate]:
    """Write each document whose ``legacy.key``, e-mail and ``_id`` are free, and say what became of each.

    An existing document is never touched: that is what the unique indexes are for. docs/decisions/0093-import.md has
    the figures of upserts.
    """
    with patient("insert"):
        try:
            collection().insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors"):
                raise
            return _fates(documents, {fault["index"]: fault for fault in error.details["writeErrors"]})
    return [Fate.IMPORTED] * len(documents)


def _fates(documents: Sequence[Mapping[str, Any]], faults: Mapping[int, Mapping[str, Any]]) -> list[Fate]:
    """The driver repeats a write whose answer was lost, and then finds its own documents. Each counts once."""
    here = keys_here([_key(documents[index]) for index in faults])
    counted = {_key(document) for index, document in enumerate(documents) if index not in faults}
    fates, before = [], set()
    for index, document in enumerate(documents):
        fate = _fate(document, faults[index], here, counted) if index in faults else Fate.IMPORTED
        if fate is Fate.TAKEN and _key(document) in before:
            fate = Fate.OTHER_EMAIL  # which of the two duplicates the database names is left to it
        if fate is Fate.IMPORTED:
            counted.add(_key(document))
            before.add(_key(document))
        fates.append(fate)
    return fates


def _fate(
    document: Mapping[str, Any],
    fault: Mapping[str, Any],
    here: Mapping[str, Mapping[str, Any]],
    counted: Collection[str],
) -> Fate:
    if fault.get("code") != _DUPLICATE_KEY:
        return Fate.REFUSED
    same = here.get(_key(document))
    if same and same.get("email") == document["email"]:
        is_own = same["_id"] == document["_id"] and _key(document) not in counted
        return Fate.IMPORTED if is_own else Fate.HERE
    fields = [*fault.get("keyPattern", ())]
    if fields == ["email"]:
        return Fate.TAKEN
    # Another stack may have unique indexes of its own: a field that all new users lack is a duplicate there.
    return Fate.OTHER_EMAIL if same or fields in (["legacy.key"], ["_id"]) else Fate.REFUSED


def _key(document: Mapping[str, Any]) -> str:
    return str(document["legacy"]["key"])
