"""Reads the documents of all users, page by page, for an export."""

from collections.abc import Iterator
from typing import Any

from bson import ObjectId

from authservice.store import users_fields
from authservice.store.patience import patient
from authservice.store.users import collection, password_projection

_PAGE = 1_000
_BELOW_ALL_IDS = ObjectId("0" * 24)
_PLAIN = ("email", "createdAt", "roles", "disabledAt", "emailVerifiedAt", "language", "profile", "legacy")


def count() -> int:
    """About how many users there are."""
    with patient("count"):
        return collection().estimated_document_count()


def count_other_ids() -> int:
    """How many documents have an id that is no ObjectId: ``documents`` has none of them."""
    with patient("count_other_ids"):
        return collection().count_documents({"_id": {"$not": {"$type": "objectId"}}})


def documents(*, with_secrets: bool) -> Iterator[dict[str, Any]]:
    """In the order of their ids. Without secrets, none is even read.

    Each page is a read of its own: the reader of the export may pause for longer than a cursor lives.
    """
    projection = {**dict.fromkeys(_PLAIN, 1), **users_fields.of_state(users_fields.current())}
    if with_secrets:
        projection |= {**password_projection(), "twoStep": 1, "passkeys": 1}
    last = _BELOW_ALL_IDS
    while True:
        with patient("documents"):  # MongoDB compares only ids of the same type
            page = [*collection().find({"_id": {"$gt": last}}, projection).sort("_id", 1).limit(_PAGE)]
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]["_id"]
