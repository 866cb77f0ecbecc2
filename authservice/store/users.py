"""The user's document in collection ``users``, as the tutorial's app made it, with what we add.

{ _id, email, password,                                       <- the tutorial's own fields
  createdAt, passwordChangedAt, roles: [], disabledAt? }
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, OperationFailure

from authservice.extensions import mongo
from authservice.store import asks_database

_BELOW_ALL_IDS = "0" * 24
_PUBLIC = {"email": 1, "roles": 1, "createdAt": 1, "disabledAt": 1}


@dataclass(frozen=True)
class User:
    """What the service knows of a user and may tell."""

    id: str
    email: str
    roles: tuple[str, ...]
    created_at: datetime | None
    is_disabled: bool


@dataclass(frozen=True)
class StoredPassword:
    """The password as it lies in the document. ``is_foreign``: another stack wrote it, and we not yet."""

    hash: object  # whatever the document holds, well-formed or not
    is_foreign: bool


NO_PASSWORD = StoredPassword(hash=None, is_foreign=False)


class _Indexes:
    """Remembers, for each client, that the unique index is there: no account is written without it."""

    def __init__(self) -> None:
        self._built_for: object = None
        self._lock = threading.Lock()

    def ensure(self) -> None:
        if self._built_for is mongo.cx:
            return
        with self._lock:
            if self._built_for is not mongo.cx:
                _build_unique_index()
                self._built_for = mongo.cx


_indexes = _Indexes()


@asks_database
def ensure_indexes() -> None:
    """Build what is missing; safe when several workers start at once."""
    _indexes.ensure()


@asks_database
def insert(email: str, password_hash: str) -> User | None:
    """Write a new user; None when the e-mail is taken."""
    _indexes.ensure()
    now = _now()
    document = {
        "_id": ObjectId(),
        "email": email,
        "password": password_hash,
        "createdAt": now,
        "passwordChangedAt": now,
        "roles": [],
    }
    try:
        _users().insert_one(document)
    except DuplicateKeyError:
        # The driver repeats an insert whose answer was lost; then it meets its own document.
        if _users().find_one({"_id": document["_id"]}, {"_id": 1}) is None:
            return None
    return _user(document)


@asks_database
def find_with_password(typed: str, normal: str) -> tuple[User, StoredPassword] | None:
    """For checking a password."""
    document = _find_by_email(typed, normal, None)
    if document is None:
        return None
    return _user(document), StoredPassword(document.get("password"), "passwordChangedAt" not in document)


@asks_database
def find_by_email(typed: str, normal: str) -> User | None:
    document = _find_by_email(typed, normal, _PUBLIC)
    return _user(document) if document else None


@asks_database
def is_taken(typed: str, normal: str) -> bool:
    """Whether either form of the e-mail is in use. The unique index has the last word."""
    return _find_by_email(typed, normal, {"email": 1}) is not None


@asks_database
def find(user_id: str) -> User | None:
    """The user without the password's hash: the guard's one read."""
    try:
        document = _users().find_one({"_id": ObjectId(user_id)}, _PUBLIC)
    except InvalidId:
        return None
    return _user(document) if document else None


@asks_database
def page(after: str | None, limit: int) -> list[User]:
    """Users in the order of their ids, from behind the id ``after``."""
    condition = {"_id": {"$gt": ObjectId(after or _BELOW_ALL_IDS)}}  # MongoDB compares with ids of the same kind alone
    return [_user(document) for document in _users().find(condition, _PUBLIC).sort("_id", 1).limit(limit)]


@asks_database
def renew_hash(user_id: str, checked: StoredPassword, renewed_hash: str) -> bool:
    """Store a hash in place of the one that was checked, unless the password has changed since."""
    written = _users().update_one(
        {"_id": ObjectId(user_id), "password": checked.hash},
        {"$set": {"password": renewed_hash, "passwordChangedAt": _now()}},
    )
    return written.modified_count == 1


@asks_database
def disable(user_id: str) -> bool:
    """False when there is no such user."""
    found = _users().update_one({"_id": ObjectId(user_id)}, {"$set": {"disabledAt": _now()}})
    return found.matched_count == 1


@asks_database
def enable(user_id: str) -> bool:
    """False when there is no such user."""
    return _users().update_one({"_id": ObjectId(user_id)}, {"$unset": {"disabledAt": ""}}).matched_count == 1


@asks_database
def delete(user_id: str) -> bool:
    """False when there is no such user."""
    return _users().delete_one({"_id": ObjectId(user_id)}).deleted_count == 1


def _build_unique_index() -> None:
    try:
        _users().create_index("email", unique=True)
    except OperationFailure:
        # One that another stack made under another name or with other options is as good.
        indexes = _users().index_information().values()
        if not any(index["key"] == [("email", 1)] and index.get("unique") for index in indexes):
            raise


def _users() -> Collection[dict[str, Any]]:
    assert mongo.db is not None
    users: Collection[dict[str, Any]] = mongo.db.users
    return users


def _find_by_email(typed: str, normal: str, projection: Mapping[str, int] | None) -> dict[str, Any] | None:
    """``typed`` wins: another stack may have stored an e-mail in mixed case, or two that differ in nothing else.

    MongoDB also finds lists that hold the e-mail, and documents whose id no token could name: they are nobody's.
    """
    documents = _users().find({"email": {"$in": [typed, normal]}}, projection)
    found = {
        document["email"]: document
        for document in documents
        if isinstance(document["email"], str) and isinstance(document["_id"], ObjectId)
    }
    return found.get(typed) or found.get(normal)


def _user(document: Mapping[str, Any]) -> User:
    """Reads what another stack wrote as well: roles or times that it lacks, or that are nonsense, count as absent."""
    roles, created_at = document.get("roles"), document.get("createdAt")
    if not isinstance(created_at, datetime):
        created_at = document["_id"].generation_time  # an ObjectId knows when it was made
    return User(
        id=str(document["_id"]),
        email=str(document.get("email", "")),
        roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        created_at=created_at,
        is_disabled=document.get("disabledAt") is not None,
    )


def _now() -> datetime:
    """In milliseconds, as MongoDB keeps it, so that what is answered is what is stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
