"""The change of a user's e-mail, and the addresses that a user has given up: one conditional write for each step.

emailChange?: { to, at, asking, guesses }
formerEmails?: [ { email, asking, at, until } ], the earliest first
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from authservice.errors import DatabaseUnavailable, EmailTaken
from authservice.store import factors, indexes, mails
from authservice.store.clock import now
from authservice.store.mails import Mail
from authservice.store.resilience import asks_database
from authservice.store.sessions import with_session
from authservice.store.spending import Spending
from authservice.store.users import OLD_HASH, StoredPassword, User, collection, holder_of, update_lists

GUESSES_MAX = 5  # of the code of an asking
NO_PASSWORD_MATCHES = "!"  # noqa: S105 - as in shadow(5)


@dataclass(frozen=True)
class Change:
    """A change that waits for the proof of the new address. ``at`` and ``asking`` go into link and code."""

    to: str
    at: datetime
    asking: str


@dataclass(frozen=True)
class Former:
    """An address that its user has given up. Until ``until`` nobody else gets it, and its mail's link restores it."""

    email: str
    asking: str
    at: datetime
    until: datetime


@asks_database
def pending(user_id: str) -> Change | None:
    document = collection().find_one({"_id": ObjectId(user_id)}, {"emailChange": 1}) or {}
    return _change(document.get("emailChange"))


@asks_database
def ask(
    user_id: str, session_id: str, checked: StoredPassword, change: Change, mail: Mail, *, is_repeated: bool
) -> bool:
    """Store a change and its mail in one write. ``is_repeated``: it waits already, and only the mail is new.

    False if it does not wait any more, or the password has changed, or the session has ended.
    """
    condition = {**with_session(user_id, session_id), **checked.unchanged}
    update: dict[str, Any] = {"$push": mails.pushed(mail)}
    if is_repeated:
        condition["emailChange.asking"] = change.asking
    else:
        update["$set"] = {"emailChange": {**vars(change), "guesses": 0}}
    return update_lists(condition, update)


@asks_database
def count_guess(user_id: str, asking: str) -> bool:
    """Take one guess, before it is compared. False if none is left, or the change has ended."""
    condition = {
        "_id": ObjectId(user_id),
        "emailChange.asking": asking,
        "emailChange.guesses": {"$gte": 0, "$lt": GUESSES_MAX},
    }
    return collection().update_one(condition, {"$inc": {"emailChange.guesses": 1}}).modified_count == 1


@asks_database
def confirm(
    user: User,
    session_id: str,
    change: Change,
    formers: Sequence[Former],
    spellings: Sequence[str],
    mail: Mail | None,
) -> bool:
    """Set the new address, which is proven, reserve ``formers``, and tell the old address, in one write.

    Whatever changes the formers meanwhile changes the address too, or ends the session.
    False if the change has ended, the address is not the old one any more, or the session has ended.
    Raises EmailTaken if another account has the address. Two at once: the unique index decides, see users.insert.
    """
    if not indexes.are_there():
        raise DatabaseUnavailable
    # The same confirmation may be done already.
    if holder_of(spellings, but_reserved_for=user.id) not in (None, user.id):
        raise EmailTaken
    condition = {**with_session(user.id, session_id), "email": user.email, "emailChange.asking": change.asking}
    reserved = [vars(former) for former in formers]
    update: dict[str, Any] = {
        "$set": {"email": change.to, "emailVerifiedAt": now(), "formerEmails": reserved},
        "$unset": {"emailChange": "", **OLD_HASH},
        "$push": mails.pushed(mail),
    }
    try:
        return update_lists(condition, update)
    except DuplicateKeyError:
        raise EmailTaken from None


@asks_database
def cancel(user_id: str) -> bool:
    """False if no change waited."""
    condition = {"_id": ObjectId(user_id), "emailChange": {"$exists": True}}
    return collection().update_one(condition, {"$unset": {"emailChange": ""}}).modified_count == 1


@asks_database
def former_emails(user_id: str) -> list[Former]:
    """Those whose undo has not ended, the earliest first."""
    if not ObjectId.is_valid(user_id):
        return []
    document = collection().find_one({"_id": ObjectId(user_id)}, {"formerEmails": 1}) or {}
    entries = document.get("formerEmails")
    found = [_former(entry) for entry in entries] if isinstance(entries, list) else []
    return [former for former in found if former and former.until > now()]


@asks_database
def undo(user_id: str, former: Former, earlier: Sequence[Former], mail: Mail) -> bool:
    """Give the account back to a former address, and take it from everybody else, in one write.

    It ends every session, forgets every device and makes the password useless: a thief may know it, and could sign in
    with the restored address at once. ``mail`` leads to a new one. ``earlier``: former addresses that stay, because
    they were there first. Later ones are the thief's, and so are their links, and the second factors and passkeys that
    were added after the change.
    False if the undo has ended.
    """
    waiting = {"$elemMatch": {"asking": former.asking, "until": {"$gt": now()}}}
    update: dict[str, Any] = {
        "$set": {
            "email": former.email,
            "emailVerifiedAt": now(),
            "password": NO_PASSWORD_MATCHES,
            "sessions": [],
            "devices": [],
        },
        "$unset": {"emailChange": "", **OLD_HASH},
        "$push": mails.pushed(mail),
    }
    if earlier:
        update["$set"]["formerEmails"] = [vars(one) for one in earlier]
    else:
        update["$unset"]["formerEmails"] = ""  # the index is sparse
    own = Spending({"_id": ObjectId(user_id), "formerEmails": waiting}, update)
    writes = (own.joined(removal) for removal in factors.removals_since(former.at))
    try:
        return any(update_lists(write.condition, write.update) for write in writes)
    except DuplicateKeyError:  # another stack let somebody have the address
        return False


def _change(stored: object) -> Change | None:
    """None if there is none, or another stack keeps something else there."""
    if not isinstance(stored, dict):
        return None
    to, at, asking = (stored.get(name) for name in ("to", "at", "asking"))
    is_ours = isinstance(to, str) and isinstance(at, datetime) and isinstance(asking, str)
    return Change(to, at, asking) if is_ours else None  # type: ignore[arg-type]


def _former(stored: object) -> Former | None:
    types = {"email": str, "asking": str, "at": datetime, "until": datetime}
    if not isinstance(stored, dict) or not all(isinstance(stored.get(name), kind) for name, kind in types.items()):
        return None
    return Former(**{name: stored[name] for name in types})
