"""The profile inside the user's document: one conditional write."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bson import ObjectId
from pymongo.errors import WriteError

from authservice.state import current_state
from authservice.store.resilience import asks_database
from authservice.store.users import collection


@asks_database
def change(
    user_id: str, session_id: str, known: Mapping[str, Any], changes: Mapping[str, Any], own: Mapping[str, Any]
) -> bool:
    """Set the members of the profile in ``changes``, if the others are still as ``known``, and our fields in ``own``.

    False if they are not, or the session has ended. If another stack stored something else there, it is replaced.
    """
    alive = {"_id": ObjectId(user_id), "disabledAt": None, "sessions.id": session_id}
    if not changes:
        return collection().update_one(alive, {"$set": {**own}}).matched_count == 1
    unchanged: dict[str, Any] = {}
    for path in current_state().projection:
        name = path.removeprefix("profile.")
        if name != path and name not in changes:
            unchanged[path] = {"$eq": known[name]} if name in known else {"$exists": False}
    update = {"$set": {**own, **{f"profile.{name}": value for name, value in changes.items()}}}
    with suppress(WriteError):  # the profile is not an object
        if collection().update_one({**alive, **unchanged}, update).matched_count == 1:
            return True
    no_object: tuple[dict[str, Any], ...] = ({"$type": "array"}, {"$not": {"$type": "object"}, "$exists": True})
    return not known and any(
        collection().update_one({**alive, "profile": other}, {"$set": {**own, "profile": {**changes}}}).matched_count
        == 1
        for other in no_object
    )
