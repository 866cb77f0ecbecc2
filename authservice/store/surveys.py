"""What the doctor reads of the users collection: counts, samples and ids. It writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pymongo

from authservice.store import indexes
from authservice.store.imports import KEY_INDEX
from authservice.store.resilience import asks_database
from authservice.store.users import StoredPassword, collection, password_projection, stored_password

IDS_MAX = 20  # of each kind that are named
_WHOLE_MAX = 20_000  # documents that are all read, not sampled
_BATCH = 1_000
_SECONDS = 600.0  # for one query, which may read the whole collection
# Two e-mails without any of this can be one account's only if they differ in nothing but case.
_BEYOND_CASE = r"[^\x00-\x7f]|[xX][nN]--|^[\x00-\x20]|[\x00-\x20]$"
_UNUSUAL: dict[str, Any] = {
    "$or": [
        {"email": {"$not": {"$type": "string"}}},
        {"email": {"$type": "array"}},  # MongoDB also asks each element, so a list of texts is a "string"
        {"email": ""},
        {"email": {"$regex": _BEYOND_CASE}},
    ]
}
_OTHERS = ("roles_admin", "mails_due", "former_emails_any_case", "legacy_work")  # beside those on the e-mail


@dataclass(frozen=True)
class Surveyed:
    """A document of the sample."""

    id: str
    stored: StoredPassword


@dataclass(frozen=True)
class Held:
    """A document and the value of its ``email``, None if it has none."""

    id: str
    email: object


@dataclass(frozen=True)
class Namesakes:
    """Documents whose e-mails differ at most in case. ``are_alike``: two of them are spelled alike, to the letter.

    ``number``: how many there are. ``ids``: those of the first ones.
    """

    ids: tuple[str, ...]
    number: int
    are_alike: bool


@dataclass(frozen=True)
class Indexes:
    """``missing``: names of ours, as a start builds them. ``lacks_keys``: users moved in, and the index of their keys
    is missing. ``is_email_unique``, ``is_any_case_unique``: the database refuses a second one.
    """

    missing: tuple[str, ...]
    lacks_keys: bool
    is_email_unique: bool
    is_any_case_unique: bool


@asks_database
def count() -> int:
    """How many documents there are, by the collection's own figures: exact, except after a crash."""
    with pymongo.timeout(_SECONDS):
        return collection().estimated_document_count()


def sample(users: int, size: int) -> Iterator[list[Surveyed]]:
    """About ``size`` random documents, or all of a small collection, in batches. Raises DatabaseUnavailable."""
    some = [] if users <= _WHOLE_MAX else [{"$sample": {"size": size}}]
    for batch in _batches(_open([*some, {"$project": password_projection()}])):
        yield [Surveyed(str(document["_id"]), stored_password(document)) for document in batch]


def _batches(cursor: Any) -> Iterator[list[dict[str, Any]]]:
    while batch := _next(cursor):
        yield batch


@asks_database
def _open(stages: Sequence[Mapping[str, Any]], **options: Any) -> Any:
    with pymongo.timeout(_SECONDS):
        return collection().aggregate([*stages], batchSize=_BATCH, **options)


@asks_database
def _next(cursor: Any) -> list[dict[str, Any]]:
    with pymongo.timeout(_SECONDS):
        found = []
        for document in cursor:
            found.append(document)
            if len(found) == _BATCH:
                break
        return found


@asks_database
def dearest() -> str | None:
    """The hash that costs most to check, of those whose cost import and adoption noted."""
    noted = {"legacy.work": {"$gt": 0}}
    with pymongo.timeout(_SECONDS):
        found = [*collection().find(noted, {"password": 1}).sort("legacy.work", -1).limit(1)]
    stored = found[0].get("password") if found else None
    return stored if isinstance(stored, str) else None


@asks_database
def look_at_indexes() -> Indexes:
    """Builds none, unlike indexes.ensure_indexes."""
    found, there = indexes.look(collection()), collection().index_information()
    missing = [] if found.are_unique else ["email_1"]
    missing += [] if found.any_case is not None else ["email_any_case"]
    missing += [name for name in _OTHERS if name not in there]
    return Indexes(tuple(missing), KEY_INDEX not in there and _have_keys(), found.are_unique, bool(found.any_case))


def _have_keys() -> bool:
    with pymongo.timeout(_SECONDS):
        return collection().find_one({"legacy.key": {"$exists": True}}, {"_id": 1}) is not None


def unusual() -> Iterator[list[Held]]:
    """Documents without an e-mail, with one that is no text, or that may equal another beyond case. In batches.

    Raises DatabaseUnavailable.
    """
    for batch in _batches(_open([{"$match": _UNUSUAL}, {"$project": {"email": 1}}])):
        yield [_held(document) for document in batch]


@asks_database
def holders(emails: Sequence[str]) -> list[Held]:
    """Who has one of the e-mails, in any case."""
    with pymongo.timeout(_SECONDS):
        found = collection().find({"email": {"$in": [*emails]}}, {"email": 1}, collation=indexes.ANY_CASE)
        return [_held(document) for document in found]


def _held(document: Mapping[str, Any]) -> Held:
    return Held(str(document["_id"]), document.get("email"))


def namesakes() -> Iterator[Namesakes]:
    """E-mails that several documents have, in any case. Raises DatabaseUnavailable."""
    stages: list[dict[str, Any]] = [
        {"$match": {"email": {"$type": "string", "$ne": ""}}},
        {"$group": {"_id": "$email", "number": {"$sum": 1}, "ids": {"$push": "$_id"}, "spelled": {"$push": "$email"}}},
        {"$match": {"number": {"$gt": 1}}},
    ]
    for batch in _batches(_open(stages, collation=indexes.ANY_CASE, allowDiskUse=True)):
        for one in batch:
            ids, spelled = one["ids"], one["spelled"]
            yield Namesakes(tuple(map(str, ids[:IDS_MAX])), len(ids), are_alike=len({*spelled}) < len(spelled))
