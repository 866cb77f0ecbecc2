"""The collection beside the users, NAME_adopted: documents whose ids are no ObjectIds, so users cannot have them here.

{ _id: <the id there>, adoptedAs: ObjectId, from, state, document: <as it was, byte for byte> }

state: "copied" (not yet removed from the users, or not yet back among them), "moved" (a user here), "undoing".
No two documents of a user can be in the collection of users at once: unique indexes forbid it. So a move copies,
deletes, inserts. Wherever it stops, the copy is there, and the next run goes on by the state.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from authservice.store.adoption import Stored, in_bytes, pages_of, read, refused_by, unchanged
from authservice.store.patience import patient
from authservice.store.users import collection

COPIED, MOVED, UNDOING = "copied", "moved", "undoing"


@dataclass(frozen=True)
class Entry:
    """``before`` is the document of the other stack, ``now`` the user that it became, if there is one."""

    id: Any
    new_id: ObjectId
    state: str
    before: Stored
    now: Stored | None
    is_back: bool  # the document of the other stack is among the users


def _adopted() -> Collection[dict[str, Any]]:
    users = collection()
    return users.database.get_collection(
        f"{users.name}_adopted",
        codec_options=users.codec_options,
        read_preference=users.read_preference,
        write_concern=users.write_concern,
    )


def name() -> str:
    return _adopted().name


def entries(profile: str, *, but_moved: bool = False) -> Iterator[list[Entry]]:
    condition = {"from": profile, **({"state": {"$ne": MOVED}} if but_moved else {})}
    for page in pages_of(_adopted(), condition):
        yield _entries(page)


def _entries(page: Sequence[Stored]) -> list[Entry]:
    ids = [one.id for one in page] + [one.fields["adoptedAs"] for one in page]
    with patient("moved_documents"):
        there = {one.id: one for one in (read(raw) for raw in in_bytes(collection()).find({"_id": {"$in": ids}}))}
    return [
        Entry(
            id=one.id,
            new_id=one.fields["adoptedAs"],
            state=one.fields["state"],
            before=read(_nested(one.raw["document"])),
            now=there.get(one.fields["adoptedAs"]),
            is_back=one.id in there,
        )
        for one in page
    ]


def _nested(document: Any) -> RawBSONDocument:
    assert isinstance(document, RawBSONDocument), "entries are read in bytes"
    return document


def copy(profile: str, documents: Sequence[Stored]) -> dict[Any, ObjectId]:
    """Copy documents, and return the new id of each by its old one. Without those that were moved before."""
    operations = [
        UpdateOne(
            {"_id": one.id, "state": {"$ne": MOVED}},
            {
                "$set": {"document": one.raw, "from": profile, "state": COPIED},
                "$setOnInsert": {"adoptedAs": ObjectId()},
            },
            upsert=True,
        )
        for one in documents
    ]
    with patient("copy"):
        try:
            _adopted().bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            refused_by(error)  # among them those that were moved before
        found = _adopted().find({"_id": {"$in": [one.id for one in documents]}, "state": COPIED}, {"adoptedAs": 1})
        return {one["_id"]: one["adoptedAs"] for one in found}


def delete(documents: Sequence[Stored], names: Iterable[str]) -> set[Any]:
    """Delete from the users those that have not changed since they were read. Returns the ids of the others.

    No condition can forbid any new field, so new ones must be among ``names``.
    """
    fields = [*names]
    operations = [DeleteOne({"_id": one.id, **unchanged(one.fields, (*one.fields, *fields))}) for one in documents]
    with patient("delete"):
        collection().bulk_write(operations, ordered=False)
        left = collection().find({"_id": {"$in": [one.id for one in documents]}}, {"_id": 1})
        return {one["_id"] for one in left}


def insert(documents: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert users. Returns the ids of those that the database refuses."""
    with patient("insert"):
        try:
            in_bytes(collection()).bulk_write([InsertOne(one) for one in documents], ordered=False)  # type: ignore[arg-type]
        except BulkWriteError as error:
            refused = {documents[index]["_id"] for index in refused_by(error)}
            # The driver repeats a write whose answer was lost, and then finds its own documents.
            return refused - {one["_id"] for one in collection().find({"_id": {"$in": [*refused]}}, {"_id": 1})}
    return set()


def mark(ids: Sequence[Any], state: str) -> None:
    with patient("mark"):
        _adopted().update_many({"_id": {"$in": [*ids]}}, {"$set": {"state": state}})


def forget(ids: Sequence[Any]) -> None:
    """Delete copies, once the documents are back among the users."""
    with patient("forget"):
        _adopted().delete_many({"_id": {"$in": [*ids]}})


def drop_if_empty() -> None:
    with patient("drop_if_empty"):
        if _adopted().find_one({}, {"_id": 1}) is None:
            _adopted().drop()
