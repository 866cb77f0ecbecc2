"""Documents of another stack become ours where they are, and go back.

Every write is conditional: it does not overwrite what the other app has written meanwhile.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.errors import BulkWriteError, OperationFailure

from authservice.store import imports
from authservice.store.patience import patient
from authservice.store.users import collection

Fields = Mapping[str, Any]

BATCH = 200
_TEXT_INDEX = "email_where_text"


@dataclass(frozen=True)
class Stored:
    """A document, byte for byte and read."""

    raw: RawBSONDocument
    fields: dict[str, Any]

    @property
    def id(self) -> Any:
        return self.fields["_id"]

    @property
    def has_usable_id(self) -> bool:
        """Whether its id is an ObjectId. Access tokens name no other."""
        return isinstance(self.id, ObjectId)


@dataclass(frozen=True)
class Change:
    """One conditional write. ``key`` is the document's ``legacy.key`` after it."""

    id: Any
    condition: Fields
    set: Fields
    unset: Sequence[str]
    key: str | None


@dataclass(frozen=True)
class Unwritten:
    """The ids of documents that the database ``refused``, and that have ``changed`` since they were read."""

    refused: Sequence[Any] = ()
    changed: Sequence[Any] = ()


def estimated_count() -> int:
    with patient("estimated_count"):
        return collection().estimated_document_count()


def pages() -> Iterator[list[Stored]]:
    """All documents in the order of their ids. Each page is read when it is asked for."""
    yield from pages_of(collection(), {})


def pages_of(where: Collection[Any], condition: Fields) -> Iterator[list[Stored]]:
    found = in_bytes(where).find(condition).sort("_id", 1).batch_size(BATCH)
    while page := _take(found):
        yield page


def _take(found: Cursor[RawBSONDocument]) -> list[Stored]:
    with patient("documents"):
        return [read(raw) for raw in itertools.islice(found, BATCH)]


def read(raw: RawBSONDocument) -> Stored:
    return Stored(raw, bson.decode(raw.raw, collection().codec_options))


def in_bytes(where: Collection[Any]) -> Collection[RawBSONDocument]:
    return where.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))


def unchanged(document: Fields, names: Iterable[str]) -> dict[str, Any]:
    """The condition that these fields are as in ``document``, absent ones still absent.

    Names that read as a path or an operator are left out.
    """
    return {
        name: {"$eq": document[name]} if name in document else {"$exists": False}
        for name in names
        if name and "." not in name and not name.startswith("$") and name != "_id"
    }


def are_equal(one: Fields, other: Fields) -> bool:
    """Whether two documents have the same fields, in any order, of the same types."""
    return one.keys() == other.keys() and all(
        bson.encode({"": one[name]}) == bson.encode({"": other[name]}) for name in one
    )


def write(changes: Sequence[Change]) -> Unwritten:
    operations = [
        UpdateOne({"_id": one.id, **one.condition}, _update(one.set, dict.fromkeys(one.unset, ""))) for one in changes
    ]
    refused: list[Any] = []
    with patient("adopt"):
        try:
            matched = collection().bulk_write(operations, ordered=False).matched_count
        except BulkWriteError as error:
            refused = [changes[index].id for index in refused_by(error)]
            matched = error.details["nMatched"]
        if matched + len(refused) == len(changes):
            return Unwritten(refused)
        ids = [one.id for one in changes if one.id not in refused]  # the server tells the number of matches alone
        keys = {one["_id"]: key_of(one) for one in collection().find({"_id": {"$in": ids}}, {"legacy.key": 1})}
        done = {one.id for one in changes if one.id in keys and keys[one.id] == one.key}
        return Unwritten(refused, [one for one in ids if one not in done])


def key_of(document: Fields) -> str | None:
    known = document.get("legacy")
    return known.get("key") if isinstance(known, Mapping) else None


def refused_by(error: BulkWriteError) -> list[int]:
    """Which operations the database refused: a unique index, or a validator of the other stack.

    Raises the error itself if the database could not store what it took.
    """
    if error.details["writeConcernErrors"]:
        raise error
    return [one["index"] for one in error.details["writeErrors"]]


def _update(fields: Fields, unset: Fields) -> dict[str, Fields]:
    return {operator: names for operator, names in (("$set", fields), ("$unset", unset)) if names}


def let_documents_have_no_email() -> None:
    """A unique index over all documents allows one without an e-mail. Ours needs only one that leaves those out.

    Does nothing if e-mails occur twice: store.indexes says so at the start.
    """
    with patient("build_index"):
        try:
            only_text = {"email": {"$type": "string"}}
            collection().create_index("email", unique=True, name=_TEXT_INDEX, partialFilterExpression=only_text)
        except OperationFailure as error:
            if error.timeout:
                raise


def drop_unused_indexes() -> None:
    """After everything was undone."""
    with patient("drop_indexes"):
        if collection().find_one({"legacy.key": {"$exists": True}}, {"_id": 1}) is not None:
            return
        existing = collection().index_information()
        for name in (imports.KEY_INDEX, _TEXT_INDEX):
            if name in existing:
                collection().drop_index(name)
