"""The user's document in the collection FLASK_USERS_COLLECTION: the tutorial's fields, and what we add.

{ _id, email, password,                                       <- the tutorial's own fields
  createdAt, passwordChangedAt, passwordRenewedAt?, roles: [], disabledAt?, emailVerifiedAt?, language?,
  sessions: [], devices: [], mails?: [], emailChange?, formerEmails?: [],
  verification?: {},                                          <- store/verifications.py
  twoStep?: {}, passkeys?: [], passkeyChallengeAt?,           <- store/factors.py, store/passkeys.py
  profile?: {},                                               <- the fields of FLASK_PROFILE
  legacy?: { key, from, id, work?, was? },                    <- where a user moved in from; work: store/dearest.py
  .. }                                                        <- other apps' fields: store/users_fields.py
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, WriteError

from authservice.config.users_fields import UsersFields
from authservice.errors import DatabaseUnavailable
from authservice.state import current_state
from authservice.store import indexes, users_fields
from authservice.store.clock import now
from authservice.store.resilience import asks_database

_PUBLIC = dict.fromkeys(
    ("email", "roles", "createdAt", "disabledAt", "emailVerifiedAt", "language", "twoStep.totp.confirmedAt"), 1
)
ADMIN = indexes.ADMIN
_PASSWORD = dict.fromkeys(("password", "passwordChangedAt", "passwordRenewedAt"), 1)


@dataclass(frozen=True)
class User:
    """What the service knows about a user and may show.

    ``profile`` has the app's own fields, under their names in the database. ``language`` is that of the user's mails.
    ``has_second_step``: the password alone does not sign in.

        user = current_user()
        user.id, user.email, user.roles  # "5c0dc18d349bc9479600c171", "natalie@example.com", ("editor",)
    """

    id: str
    email: str
    roles: tuple[str, ...]
    created_at: datetime | None
    is_disabled: bool
    email_verified: bool = False
    language: str | None = None
    profile: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    has_second_step: bool = False


@dataclass(frozen=True)
class StoredPassword:
    """The password in the document. ``is_legacy``: another stack made the hash, and we have not renewed it yet."""

    hash: object  # any value that the document holds, well-formed or not
    is_legacy: bool
    theirs: tuple[str, object] | None = None  # the other app's field that it is read from, with the value there

    @property
    def unchanged(self) -> dict[str, Any]:
        """The condition of a write: the document still has this password."""
        if self.theirs is None:
            return {"password": self.hash}
        name, value = self.theirs
        return {"password": {"$exists": False}, name: value}


NO_PASSWORD = StoredPassword(hash=None, is_legacy=False)
# What a write that sets ``password`` also removes: it was true of another stack's hash.
OLD_HASH = {"legacy.work": "", "legacy.was.password": ""}  # of an adopted user: what another stack kept there
_TAGGED = re.compile(r"\$(?!2[aby]\$)")  # not plain bcrypt: this service writes none of these


def new_id() -> str:
    return str(ObjectId())


@asks_database
def insert(
    email: str,
    spellings: Sequence[str],
    password_hash: str,
    profile: Mapping[str, Any] | None = None,
    *,
    is_verified: bool = False,
    user_id: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> User | None:
    """Write a new user; None if the e-mail is taken, in one of its ``spellings``. ``is_verified``: it is the user's.

    ``more`` are other fields of ours. Raises DatabaseUnavailable before indexes.ensure_indexes().
    """
    if not indexes.are_there():
        raise DatabaseUnavailable
    # If documents of another stack keep the case-insensitive index from being unique, it does not refuse duplicates.
    if (reserver_of if indexes.any_case_is_unique() else holder_of)(spellings):
        return None
    moment = now()
    document: dict[str, Any] = {
        "_id": ObjectId(user_id),
        "email": email,
        "password": password_hash,
        "createdAt": moment,
        "passwordChangedAt": moment,
        "roles": [],
        "sessions": [],
        **(more or {}),
    }
    if is_verified:
        document["emailVerifiedAt"] = moment
    if profile:
        document["profile"] = profile
    try:
        collection().insert_one(document)
    except DuplicateKeyError:
        # The driver repeats an insert whose answer was lost. Then it finds its own document.
        if collection().find_one({"_id": document["_id"]}, {"_id": 1}) is None:
            return None
    return read_user(document)


def holder_of(emails: Sequence[str], but_reserved_for: str | None = None) -> str | None:
    """The id of a document that has one of the e-mails, in any case, or has it reserved because it gave it up lately.

    ``but_reserved_for``: the user who may have back what that user gave up. Call it only if the indexes exist.
    """
    # In this order: an e-mail is given up in one write, so it is found by the one or the other.
    return _find_id({"email": {"$in": [*emails]}}) or reserver_of(emails, but_reserved_for)


def reserver_of(emails: Sequence[str], but: str | None = None) -> str | None:
    # Not $elemMatch, which knows no collation in the embedded server. So an e-mail may stay reserved for longer if its
    # user has given up another one since.
    condition: dict[str, Any] = {"formerEmails.email": {"$in": [*emails]}, "formerEmails.until": {"$gt": now()}}
    if but:
        condition["_id"] = {"$ne": ObjectId(but)}
    return _find_id(condition)


def _find_id(condition: Mapping[str, Any]) -> str | None:
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
    document = collection().find_one({"_id": ObjectId(user_id)}, password_projection())
    return stored_password(document) if document else NO_PASSWORD


@asks_database
def verify(user: User) -> bool:
    """Remember that the e-mail is the user's. False if there is no such user, or the e-mail has changed."""
    condition = {"_id": ObjectId(user.id), "email": user.email}
    return collection().update_one(condition, {"$set": {"emailVerifiedAt": now()}}).matched_count == 1


@asks_database
def delete(user_id: str, checked: StoredPassword | None = None, session_id: str | None = None) -> bool:
    """False if there is no such user, the password has changed since it was checked, or the session has ended."""
    condition = {"_id": ObjectId(user_id)} | (checked.unchanged if checked else {})
    condition |= {"sessions.id": session_id} if session_id else {}
    return collection().delete_one(condition).deleted_count == 1


def projection_of(attributes: Iterable[str], fields: UsersFields) -> dict[str, int]:
    """What is read of a user, with these members of the profile, and with these fields of another app."""
    return {**_PUBLIC, **{f"profile.{attribute}": 1 for attribute in attributes}, **users_fields.of_state(fields)}


def password_projection() -> dict[str, int]:
    """What stored_password reads."""
    theirs = users_fields.current().password
    return _PASSWORD if theirs is None else {**_PASSWORD, theirs: 1}


def collection() -> Collection[dict[str, Any]]:
    return current_state().users


def update_lists(
    condition: Mapping[str, Any],
    update: Mapping[str, Mapping[str, Any]],
    array_filters: Sequence[Mapping[str, Any]] = (),
) -> bool:
    """One write that changes lists of a user. False if no user meets the condition. Call it within an operation.

    If another stack stored something else than a list under the name of one, it makes room, and nobody is locked out.
    """
    given = {operator: fields for operator, fields in update.items() if fields}
    filters = [*array_filters] or None
    try:
        return collection().update_one(condition, given, array_filters=filters).matched_count == 1
    except WriteError:
        for name in (*update.get("$push", ()), *update.get("$pull", ())):
            no_list = {**condition, name: {"$exists": True, "$not": {"$type": "array"}}}
            collection().update_one(no_list, {"$set": {name: []}})
        return collection().update_one(condition, given, array_filters=filters).matched_count == 1


def read_user(document: Mapping[str, Any]) -> User:
    """Also reads documents of other stacks: parts that are missing or malformed count as absent."""
    roles, created_at, profile = document.get("roles"), document.get("createdAt"), document.get("profile")
    language, two_step = document.get("language"), document.get("twoStep")
    totp = two_step.get("totp") if isinstance(two_step, dict) else None
    if not isinstance(created_at, datetime):
        created_at = document["_id"].generation_time  # an ObjectId contains its time
    return User(
        id=str(document["_id"]),
        email=str(document.get("email", "")),
        roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        created_at=created_at,
        is_disabled=users_fields.is_disabled(document),
        email_verified=users_fields.is_verified(document),
        language=language if isinstance(language, str) else None,
        profile=profile if isinstance(profile, dict) else {},
        has_second_step=isinstance(totp, dict) and isinstance(totp.get("confirmedAt"), datetime),
    )


def stored_password(document: Mapping[str, Any]) -> StoredPassword:
    if theirs := users_fields.their_password(document):
        return StoredPassword(users_fields.as_tagged(theirs[1]), is_legacy=True, theirs=theirs)
    # This service never writes null. Other stacks do, and adopting leaves it where it has renamed their field.
    is_ours = any(document.get(name) is not None for name in ("passwordChangedAt", "passwordRenewedAt"))
    stored = document.get("password")
    is_tagged = isinstance(stored, str) and _TAGGED.match(stored) is not None
    return StoredPassword(stored, is_legacy=is_tagged or not is_ours)
