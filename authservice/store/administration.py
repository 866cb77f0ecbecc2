"""What admins do to users: list them, give and take roles, disable, set a password."""

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo.errors import WriteError

from authservice.config import ROLES_MAX
from authservice.state import current_state
from authservice.store import users_fields
from authservice.store.clock import now
from authservice.store.mails import Mail, pushed
from authservice.store.resilience import asks_database
from authservice.store.users import ADMIN, OLD_HASH, User, collection, read_user, update_lists

_BELOW_ALL_IDS = "0" * 24


@asks_database
def page(after: str | None, limit: int) -> list[User]:
    """Users in the order of their ids, after the id ``after``."""
    condition = {"_id": {"$gt": ObjectId(after or _BELOW_ALL_IDS)}}  # MongoDB compares only ids of the same type
    found = collection().find(condition, current_state().projection).sort("_id", 1).limit(limit)
    return [read_user(document) for document in found]


@asks_database
def change(user_id: str, *, roles: Sequence[str] | None = None, is_disabled: bool | None = None) -> bool:
    """Set what is not None, in one write. Disabling also ends every session and forgets every device.

    False if there is no such user."""
    update: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}}
    if roles is not None:
        update["$set"]["roles"] = [*roles]
    if is_disabled is True:
        update["$set"].update(disabledAt=now(), sessions=[], devices=[])
    own: dict[str, Any] = {"_id": ObjectId(user_id)}
    if is_disabled is False:
        if disabled_by_them := users_fields.disabled_by_them():  # null says "enabled here", and wins
            enabled = {**update, "$set": {**update["$set"], "disabledAt": None}}
            if _update({**own, **disabled_by_them}, enabled):
                return True
        update["$unset"]["disabledAt"] = ""
    return _update(own, update)


def _update(condition: Mapping[str, Any], update: Mapping[str, Mapping[str, Any]]) -> bool:
    given = {operator: fields for operator, fields in update.items() if fields}
    return collection().update_one(condition, given).matched_count == 1


@asks_database
def set_password(user_id: str, new_hash: str, notice: Mail | None) -> bool:
    """Store a new hash, end every session, and tell the user by mail, in one write. False if there is no such user."""
    changes = {"password": new_hash, "passwordChangedAt": now(), "sessions": []}
    removed = {"emailChange": "", **OLD_HASH}  # the change may be a thief's
    return update_lists({"_id": ObjectId(user_id)}, {"$set": changes, "$unset": removed, "$push": pushed(notice)})


@asks_database
def grant(user_id: str, role: str) -> bool:
    """False if there is no such user, or the user has ROLES_MAX roles already."""
    with_room = {"_id": ObjectId(user_id), f"roles.{ROLES_MAX - 1}": {"$exists": False}}
    try:
        return collection().update_one(with_room, {"$addToSet": {"roles": role}}).matched_count == 1
    except WriteError:  # another stack stored something that is not a list; ours replaces it
        no_list = {"_id": ObjectId(user_id), "roles": {"$not": {"$type": "array"}}}
        return collection().update_one(no_list, {"$set": {"roles": [role]}}).matched_count == 1


@asks_database
def revoke(user_id: str, role: str) -> bool:
    """False if there is no such user."""
    lists = {"_id": ObjectId(user_id), "roles": {"$type": "array"}}
    return (
        collection().update_one(lists, {"$pull": {"roles": role}}).matched_count == 1
        or collection().find_one({"_id": ObjectId(user_id)}, {"_id": 1}) is not None
    )


@asks_database
def is_last_admin(user_id: str) -> bool:
    """Whether no other enabled user has the role admin."""
    others = {
        "roles": ADMIN,
        "roles.0": {"$exists": True},  # a list: text that another stack stored is not a role
        "disabledAt": None,
        "_id": {"$ne": ObjectId(user_id), "$type": "objectId"},
    }
    their_name = users_fields.current().disabled_at
    if their_name is None:
        return collection().find_one(others, {"_id": 1}) is None
    return all(users_fields.is_disabled(other) for other in collection().find(others, {"disabledAt": 1, their_name: 1}))
