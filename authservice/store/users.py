"""The user's document in the collection FLASK_USERS_COLLECTION: the tutorial's fields, and what we add.

{ _id, email, password,                                       <- the tutorial's own fields
  createdAt, passwordChangedAt, roles: [], disabledAt?, sessions: [], devices: [],
  profile?: {}                                                <- the fields of FLASK_PROFILE }
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, WriteError

from authservice.config import ROLES_MAX
from authservice.errors import DatabaseUnavailable
from authservice.state import current_state
from authservice.store import indexes
from authservice.store.resilience import asks_database

_PUBLIC = {"email": 1, "roles": 1, "createdAt": 1, "disabledAt": 1}
ADMIN = indexes.ADMIN
_BELOW_ALL_IDS = "0" * 24


@dataclass(frozen=True)
class User:
    """What the service knows about a user and may show.

    ``profile`` has the app's own fields, under their names in the database.

        user = current_user()
        user.id, user.email, user.roles  # "5c0dc18d349bc9479600c171", "natalie@example.com", ("editor",)
    """

    id: str
    email: str
    roles: tuple[str, ...]
    created_at: datetime | None
    is_disabled: bool
    profile: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True)
class StoredPassword:
    """The password in the document. ``is_legacy``: another stack wrote it, and we have not renewed it yet."""

    hash: object  # any value that the document holds, well-formed or not
    is_legacy: bool


NO_PASSWORD = StoredPassword(hash=None, is_legacy=False)


@asks_database
def insert(
    email: str, spellings: Sequence[str], password_hash: str, profile: Mapping[str, Any] | None = None
) -> User | None:
    """Write a new user; None if the e-mail is taken, in one of its ``spellings``.

    Raises DatabaseUnavailable before indexes.ensure_indexes().
    """
    if not indexes.are_there():
        raise DatabaseUnavailable
    # If documents of another stack keep the case-insensitive index from being unique, it does not refuse duplicates.
    if not indexes.any_case_is_unique() and holder_of(spellings):
        return None
    moment = now()
    document: dict[str, Any] = {
        "_id": ObjectId(),
        "email": email,
        "password": password_hash,
        "createdAt": moment,
        "passwordChangedAt": moment,
        "roles": [],
        "sessions": [],
    }
    if profile:
        document["profile"] = profile
    try:
        collection().insert_one(document)
    except DuplicateKeyError:
        # The driver repeats an insert whose answer was lost. Then it finds its own document.
        if collection().find_one({"_id": document["_id"]}, {"_id": 1}) is None:
            return None
    return read_user(document)


def holder_of(emails: Sequence[str]) -> str | None:
    """The id of a document that has one of the e-mails, in any case. Call it only if the indexes exist."""
    condition = {"email": {"$in": [*emails]}}
    document = collection().find_one(condition, {"_id": 1}, collation=indexes.ANY_CASE)
    return str(document["_id"]) if document else None


def find(user_id: str) -> User | None:
    """None also for an id that is not valid, without asking the database."""
    return _find(ObjectId(user_id)) if ObjectId.is_valid(user_id) else None


@asks_database
def _find(user_id: ObjectId) -> User | None:
    document = collection().find_one({"_id": user_id}, current_state().projection)
    return read_user(document) if document else None


@asks_database
def find_password(user_id: str) -> StoredPassword:
    """NO_PASSWORD if there is no such user."""
    document = collection().find_one({"_id": ObjectId(user_id)}, {"password": 1, "passwordChangedAt": 1})
    return stored_password(document) if document else NO_PASSWORD


@asks_database
def page(after: str | None, limit: int) -> list[User]:
    """Users in the order of their ids, after the id ``after``."""
    condition = {"_id": {"$gt": ObjectId(after or _BELOW_ALL_IDS)}}  # MongoDB compares only ids of the same type
    found = collection().find(condition, current_state().projection).sort("_id", 1).limit(limit)
    return [read_user(document) for document in found]


@asks_database
def set_password(user_id: str, new_hash: str) -> bool:
    """Store a new hash and end every session, in one write. False if there is no such user."""
    update = {"$set": {"password": new_hash, "passwordChangedAt": now(), "sessions": []}}
    return collection().update_one({"_id": ObjectId(user_id)}, update).matched_count == 1


@asks_database
def change(user_id: str, *, roles: Sequence[str] | None = None, is_disabled: bool | None = None) -> bool:
    """Set what is not None, in one write. Disabling also ends every session and forgets every device.

    False if there is no such user."""
    update: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}}
    if roles is not None:
        update["$set"]["roles"] = [*roles]
    if is_disabled is True:
        update["$set"].update(disabledAt=now(), sessions=[], devices=[])
    if is_disabled is False:
        update["$unset"]["disabledAt"] = ""
    given = {operator: fields for operator, fields in update.items() if fields}
    return collection().update_one({"_id": ObjectId(user_id)}, given).matched_count == 1


@asks_database
def change_profile(user_id: str, session_id: str, known: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Set the members of the profile in ``changes``, if the others are still as ``known``.

    False if they are not, or the session has ended. If another stack stored something else there, it is replaced.
    """
    alive = {"_id": ObjectId(user_id), "disabledAt": None, "sessions.id": session_id}
    unchanged: dict[str, Any] = {}
    for path in current_state().projection:
        name = path.removeprefix("profile.")
        if name != path and name not in changes:
            unchanged[path] = {"$eq": known[name]} if name in known else {"$exists": False}
    update = {"$set": {f"profile.{name}": value for name, value in changes.items()}}
    with suppress(WriteError):  # the profile is not an object
        if collection().update_one({**alive, **unchanged}, update).matched_count == 1:
            return True
    no_object: tuple[dict[str, Any], ...] = ({"$type": "array"}, {"$not": {"$type": "object"}, "$exists": True})
    return not known and any(
        collection().update_one({**alive, "profile": other}, {"$set": {"profile": {**changes}}}).matched_count == 1
        for other in no_object
    )


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
    return collection().find_one(others, {"_id": 1}) is None


@asks_database
def delete(user_id: str, checked: StoredPassword | None = None) -> bool:
    """False if there is no such user, or the password has changed since it was checked."""
    condition = {"_id": ObjectId(user_id)} | ({"password": checked.hash} if checked else {})
    return collection().delete_one(condition).deleted_count == 1


def projection_of(attributes: Iterable[str]) -> dict[str, int]:
    """What is read of a user, with these members of the profile."""
    return {**_PUBLIC, **{f"profile.{attribute}": 1 for attribute in attributes}}


def collection() -> Collection[dict[str, Any]]:
    return current_state().users


def read_user(document: Mapping[str, Any]) -> User:
    """Also reads documents of other stacks: roles or times that are missing or malformed count as absent."""
    roles, created_at, profile = document.get("roles"), document.get("createdAt"), document.get("profile")
    if not isinstance(created_at, datetime):
        created_at = document["_id"].generation_time  # an ObjectId contains its time
    return User(
        id=str(document["_id"]),
        email=str(document.get("email", "")),
        roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        created_at=created_at,
        is_disabled=document.get("disabledAt") is not None,
        profile=profile if isinstance(profile, dict) else {},
    )


def stored_password(document: Mapping[str, Any]) -> StoredPassword:
    return StoredPassword(document.get("password"), "passwordChangedAt" not in document)


def now() -> datetime:
    """In milliseconds, as MongoDB stores it, so that answers equal what is stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
