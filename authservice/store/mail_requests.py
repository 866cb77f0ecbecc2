"""What strangers asked for: one document for each kind, address and half-hour. No user is looked up to write it.

{ _id, kind, email, slot, language, at, askedAt, expiresAt, usedAt?, due?, tries, claim?, handles: [ { id, guesses } ] }
"""

import logging
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from authservice.state import current_state
from authservice.store.clock import now
from authservice.store.resilience import asks_database

NAME = "mailRequests"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)  # of time: $type would not use the index
LEASE = timedelta(seconds=120)  # longer than any delivery takes; then another deliverer takes the mail
HANDLES_MAX = 8  # later askers of the half-hour have no guess
GUESSES_MAX = 5  # of each handle
_KEPT = timedelta(hours=1)  # after the end, so that a mail that could not be sent in time is counted
_LOOKED_AT = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """``at`` goes into link and code. ``asked_at`` is when a mail was last asked for.

    ``used_at``: since when link and code are good for nothing; None also if their use leaves a trace elsewhere, as that
    of a reset does.
    """

    id: str
    kind: str
    email: str  # in its normal form; the account may have another spelling
    slot: int
    language: str | None
    at: datetime
    asked_at: datetime
    expires_at: datetime
    used_at: datetime | None
    due: datetime | None
    tries: int


@dataclass(frozen=True)
class RequestClaim:
    """A request that this deliverer alone may answer, until its lease ends."""

    id: str
    request: Request


def build_index(users: Collection[dict[str, Any]]) -> None:
    """Let the deliverers find what is due, and the database delete what has ended.

    Partial: an app may have a collection of this name, with documents of its own.
    """
    try:
        requests = _beside(users)
        requests.create_index("due", sparse=True)
        ours = {"slot": {"$type": "number"}}
        kept_seconds = int(_KEPT.total_seconds())
        requests.create_index("expiresAt", expireAfterSeconds=kept_seconds, partialFilterExpression=ours)
    except PyMongoError as error:
        log.error("indexes_not_built", extra={"error": type(error).__name__})


@asks_database
def write(
    request_id: str,
    kind: str,
    email: str,
    slot: int,
    handle: str,
    language: str | None,
    lifetime: timedelta,
    *,
    is_admitted: bool,
) -> None:
    """Remember who asked; if the budgets admit it, a mail is due. The same write for every address.

    The first asking of the half-hour makes link and code. Later ones send the same again, and let them live longer.
    """
    moment = now()
    first: dict[str, Any] = {"kind": kind, "email": email, "slot": slot, "at": moment}
    update: dict[str, Any] = {"$push": {"handles": {"$each": [{"id": handle, "guesses": 0}], "$slice": HANDLES_MAX}}}
    end = {"askedAt": moment, "expiresAt": moment + lifetime}
    if is_admitted:
        update |= {
            "$set": {**end, "language": language, "due": moment, "tries": 0},
            "$unset": {"claim": ""},
            "$setOnInsert": first,
        }
    else:
        update["$setOnInsert"] = {**first, **end, "language": language, "tries": 0}
    try:
        _requests().update_one({"_id": request_id}, update, upsert=True)
    except DuplicateKeyError:  # two first askings at once; the second finds the document
        _requests().update_one({"_id": request_id}, update, upsert=True)


@asks_database
def find(request_id: str) -> Request | None:
    """None if it has expired."""
    document = _requests().find_one({"_id": request_id, "expiresAt": {"$gt": now()}}, _FIELDS)
    return _read(document) if document else None


@asks_database
def count_guess(request_id: str, handle: str) -> bool:
    """Take one guess of the handle, before it is compared. False if none is left or the request has expired."""
    with_guess = {"id": handle, "guesses": {"$lt": GUESSES_MAX}}
    condition = {"_id": request_id, "expiresAt": {"$gt": now()}, "handles": {"$elemMatch": with_guess}}
    return _requests().update_one(condition, {"$inc": {"handles.$.guesses": 1}}).modified_count == 1


@asks_database
def use(request: Request) -> bool:
    """Of concurrent callers one gets True. None does if link and code are other ones by now."""
    unused = {"_id": request.id, "at": request.at, "usedAt": None}
    return _requests().update_one(unused, {"$set": {"usedAt": now()}}).modified_count == 1


@asks_database
def use_all(request_ids: Sequence[str]) -> None:
    _requests().update_many({"_id": {"$in": [*request_ids]}, "usedAt": None}, {"$set": {"usedAt": now()}})


@asks_database
def give_back(request: Request) -> None:
    _requests().update_one({"_id": request.id, "at": request.at}, {"$unset": {"usedAt": ""}})


@asks_database
def claim_next() -> RequestClaim | None:
    """Take a request that is due for the time of LEASE; None if there is none. Of concurrent callers one gets it."""
    found = [*_requests().find({**_OURS, "due": {"$lte": now()}}, _FIELDS).sort("due", 1).limit(_LOOKED_AT)]
    random.shuffle(found)
    for document in found:
        claim_id, unclaimed = uuid.uuid4().hex, {"_id": document["_id"], "due": document["due"]}
        taken = {"$set": {"due": now() + LEASE, "claim": claim_id}, "$inc": {"tries": 1}}
        if _requests().update_one(unclaimed, taken).modified_count == 1:
            claimed = _requests().find_one({"_id": document["_id"], "claim": claim_id}, _FIELDS)
            if claimed:
                return RequestClaim(claim_id, _read(claimed))
    return None


@asks_database
def acknowledge(claim: RequestClaim) -> bool:
    """The mail is sent or given up. False if the lease had ended, or another mail was asked for meanwhile."""
    ended = {"$unset": {"due": "", "claim": ""}}
    return _requests().update_one(_mine(claim), ended).modified_count == 1


@asks_database
def postpone(claim: RequestClaim, due: datetime, *, counts: bool = True) -> None:
    """End the claim, and let the mail be due later. ``counts``: whether it was a try."""
    changes: dict[str, Any] = {"$set": {"due": due}, "$unset": {"claim": ""}}
    if not counts:
        changes["$inc"] = {"tries": -1}
    _requests().update_one(_mine(claim), changes)


@asks_database
def renew(claim: RequestClaim) -> datetime | None:
    """Make a new link and a new code: those of the first asking have ended. None if the lease had ended."""
    moment = now()
    changed = _requests().update_one(_mine(claim), {"$set": {"at": moment}, "$unset": {"usedAt": ""}})
    return moment if changed.matched_count == 1 else None


@asks_database
def retry(request_id: str) -> bool:
    """Let the mail be due now. False if none waits, or it is being sent."""
    free = {"_id": request_id, "due": {"$exists": True}, "claim": {"$exists": False}}
    return _requests().update_one(free, {"$set": {"due": now()}}).matched_count == 1


@asks_database
def waiting(limit: int) -> list[Request]:
    """The requests whose mail waits, the earliest due first."""
    found = _requests().find({**_OURS, "due": {"$gte": BEGINNING}}, _FIELDS).sort("due", 1).limit(limit)
    return [_read(document) for document in found]


@asks_database
def count_waiting() -> tuple[int, datetime | None]:
    """How many mails wait, and when the oldest was asked for."""
    stages: list[dict[str, Any]] = [
        {"$match": {**_OURS, "due": {"$gte": BEGINNING}}},
        {"$group": {"_id": None, "number": {"$sum": 1}, "oldest": {"$min": "$askedAt"}}},
    ]
    for counted in _requests().aggregate(stages):
        return counted["number"], counted["oldest"]
    return 0, None


_OURS = {"slot": {"$gte": 0}, "tries": {"$gte": 0}, "kind": {"$type": "string"}}  # not a document of an app
_FIELDS = {"handles": 0, "claim": 0}


def _mine(claim: RequestClaim) -> dict[str, str]:
    return {"_id": claim.request.id, "claim": claim.id}


def _requests() -> Collection[dict[str, Any]]:
    return _beside(current_state().users)


def _beside(users: Collection[dict[str, Any]]) -> Collection[dict[str, Any]]:
    return users.database.get_collection(
        NAME,
        codec_options=users.codec_options,
        write_concern=users.write_concern,
        read_preference=users.read_preference,
    )


def _read(document: Mapping[str, Any]) -> Request:
    return Request(
        id=document["_id"],
        kind=document["kind"],
        email=document["email"],
        slot=document["slot"],
        language=document["language"],
        at=document["at"],
        asked_at=document["askedAt"],
        expires_at=document["expiresAt"],
        used_at=document.get("usedAt"),
        due=document.get("due"),
        tries=document["tries"],
    )
