"""The mails that wait in the user's document. Each is pushed in the very write that causes it, so none is lost.

mails: [ { id, kind, rank, to, asking, language, facts, at, due, tries, claim? } ]
"""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.store import users_fields
from authservice.store.clock import now
from authservice.store.mail_requests import BEGINNING, LEASE
from authservice.store.resilience import asks_database
from authservice.store.users import collection

_MAILS_MAX = 20  # of one user
_RECIPIENT = dict.fromkeys(
    ("email", "language", "disabledAt", "emailVerifiedAt", "emailChange", "passwordChangedAt"), 1
)
_OURS = {  # as _is_ours reads it
    **{name: {"$type": "string"} for name in ("id", "kind", "to")},
    **{name: {"$gte": 0, "$type": ["int", "long"]} for name in ("rank", "tries")},
    "facts": {"$type": "object"},
    "at": {"$type": "date"},
}
_LOOKED_AT = 20  # users whose mails are due, for one claim


@dataclass(frozen=True)
class Mail:
    """A mail that waits. What is sent is made from it alone, so that each try sends the same.

    ``facts`` are shown in the mail; no link and no code is among them, they are computed when it is sent. ``rank`` says
    how grave it is. ``language`` is the one at the time of asking.
    """

    id: str
    kind: str
    rank: int
    to: str
    at: datetime
    asking: str | None = None  # the id in link and code, if it is not that of the mail
    language: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    due: datetime = BEGINNING
    tries: int = 0


@dataclass(frozen=True)
class Recipient:
    """The user as of now, for the decision whether a mail is still true."""

    user_id: str
    email: str
    language: str | None
    is_disabled: bool
    is_verified: bool
    change_asking: str | None  # of the change of e-mail that waits
    password_changed_at: datetime | None


@dataclass(frozen=True)
class Claim:
    """A mail that this deliverer alone may send, until its lease ends."""

    id: str
    mail: Mail
    recipient: Recipient


def pushed(*mails: Mail | None) -> dict[str, Any]:
    """What a write that causes mails adds to its ``$push``, for users.update_lists. None: this application sends none.

    The list is bounded. A flood pushes out nothing that is as grave or graver: graver mails come first, then
    older ones, and the end of the list is cut off.
    """
    entries = [_entry(mail) for mail in mails if mail is not None]
    if not entries:
        return {}
    return {"mails": {"$each": entries, "$sort": {"rank": -1, "at": 1}, "$slice": _MAILS_MAX}}


@asks_database
def claim_next() -> Claim | None:
    """Take a mail that is due for the time of LEASE; None if there is none. Of concurrent callers one gets it."""
    moment = now()
    found = [*collection().find(_with_mails({"$lte": moment}), {"mails": 1}).sort("mails.due", 1).limit(_LOOKED_AT)]
    random.shuffle(found)  # deliverers that look at the same moment should not all try the same one
    for document in found:
        for mail in _mails_of(document):
            if mail.due <= moment and (claim := _claim(document["_id"], mail)):
                return claim
    return None


@asks_database
def acknowledge(claim: Claim) -> bool:
    """Remove a mail that is sent or given up. False if the lease had ended and another deliverer has the mail."""
    pulled = {"$pull": {"mails": {"id": claim.mail.id, "claim": claim.id}}}
    return collection().update_one({"_id": ObjectId(claim.recipient.user_id)}, pulled).modified_count == 1


@asks_database
def postpone(claim: Claim, due: datetime, *, counts: bool = True) -> None:
    """End the claim, and let the mail be due later. ``counts``: whether it was a try."""
    mine = {"id": claim.mail.id, "claim": claim.id}
    changes: dict[str, Any] = {"$set": {"mails.$.due": due}, "$unset": {"mails.$.claim": ""}}
    if not counts:
        changes["$inc"] = {"mails.$.tries": -1}
    collection().update_one({"_id": ObjectId(claim.recipient.user_id), "mails": {"$elemMatch": mine}}, changes)


@asks_database
def retry(user_id: str, mail_id: str) -> bool:
    """Let a mail be due now. False if it has gone, or is being sent."""
    free = {"id": mail_id, "claim": {"$exists": False}}
    condition = {"_id": ObjectId(user_id), "mails": {"$elemMatch": free}}
    return collection().update_one(condition, {"$set": {"mails.$.due": now()}}).matched_count == 1


@asks_database
def waiting(limit: int) -> list[tuple[str, Mail]]:
    """Ids of users with the mails that wait for them, the earliest due first."""
    found = collection().find(_with_mails({"$gte": BEGINNING}), {"mails": 1}).sort("mails.due", 1).limit(limit)
    mails = [(str(document["_id"]), mail) for document in found for mail in _mails_of(document)]
    return sorted(mails, key=lambda one: one[1].due)[:limit]


@asks_database
def count_waiting() -> tuple[int, datetime | None]:
    """How many wait, and when the oldest was caused."""
    stages: list[dict[str, Any]] = [
        {"$match": _with_mails({"$gte": BEGINNING})},
        {"$unwind": "$mails"},
        {"$match": {"mails.tries": {"$gte": 0}, "mails.rank": {"$gte": 0}}},
        {"$group": {"_id": None, "number": {"$sum": 1}, "oldest": {"$min": "$mails.at"}}},
    ]
    for counted in collection().aggregate(stages):
        return counted["number"], counted["oldest"]
    return 0, None


def _claim(owner: ObjectId, mail: Mail) -> Claim | None:
    """The user is read after the claim: what has changed since the mail was caused is seen."""
    claim_id = uuid.uuid4().hex
    unclaimed = {"_id": owner, "mails": {"$elemMatch": {"id": mail.id, "due": mail.due}}}
    due = now() + LEASE
    taken = {"$set": {"mails.$.due": due, "mails.$.claim": claim_id}, "$inc": {"mails.$.tries": 1}}
    if collection().update_one(unclaimed, taken).modified_count == 0:
        return None
    document = collection().find_one({"_id": owner}, recipient_projection())
    if document is None:
        return None
    return Claim(claim_id, replace(mail, due=due, tries=mail.tries + 1), read_recipient(document))


def recipient_projection() -> dict[str, int]:
    """What read_recipient reads."""
    return {**_RECIPIENT, **users_fields.of_state(users_fields.current())}


def read_recipient(document: Mapping[str, Any]) -> Recipient:
    """Also reads documents of other stacks: what is malformed counts as absent."""
    language, change, changed_at = (document.get(name) for name in ("language", "emailChange", "passwordChangedAt"))
    return Recipient(
        user_id=str(document["_id"]),
        email=str(document.get("email", "")),
        language=language if isinstance(language, str) else None,
        is_disabled=users_fields.is_disabled(document),
        is_verified=users_fields.is_verified(document),
        change_asking=str(change.get("asking", "")) if isinstance(change, dict) else None,
        password_changed_at=changed_at if isinstance(changed_at, datetime) else None,
    )


def _with_mails(due: Mapping[str, datetime]) -> dict[str, Any]:
    """The condition on users. The first half uses the index; the second leaves out the lists of other stacks.

    If it let them through, twenty of them would hide all that is due after them.
    """
    return {"mails.due": due, "mails": {"$elemMatch": {"due": due, **_OURS}}, "_id": {"$type": "objectId"}}


def _mails_of(document: Mapping[str, Any]) -> list[Mail]:
    entries = document.get("mails")
    if not isinstance(entries, list) or not isinstance(document["_id"], ObjectId):
        return []
    return [_mail(entry) for entry in entries if _is_ours(entry)]


def _is_ours(entry: object) -> bool:
    types = {"id": str, "kind": str, "rank": int, "to": str, "facts": dict, "at": datetime, "due": datetime}
    types["tries"] = int
    return isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in types.items())


def _entry(mail: Mail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "kind": mail.kind,
        "rank": mail.rank,
        "to": mail.to,
        "asking": mail.asking,
        "language": mail.language,
        "facts": {**mail.facts},
        "at": mail.at,
        "due": mail.at if mail.due == BEGINNING else mail.due,
        "tries": mail.tries,
    }


def _mail(stored: Mapping[str, Any]) -> Mail:
    asking, language = stored.get("asking"), stored.get("language")
    return Mail(
        id=stored["id"],
        kind=stored["kind"],
        rank=stored["rank"],
        to=stored["to"],
        at=stored["at"],
        asking=asking if isinstance(asking, str) else None,
        language=language if isinstance(language, str) else None,
        facts=stored["facts"],
        due=stored["due"],
        tries=stored["tries"],
    )
