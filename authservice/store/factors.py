"""What proves a user besides the password, inside the user's document. Two steps are on once ``totp`` is confirmed.

twoStep?: { totp: { secret, confirmedAt, lastStep }, pendingTotp: { secret, at, guesses },
            recoveryCodes: [ SHA-256 in hex ], recoveryCodesAt, failures, blockedUntil }
passkeys?: []                                                 <- store/passkeys.py
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import Int64, ObjectId
from pymongo.errors import WriteError

from authservice.state import current_state
from authservice.store.clock import now
from authservice.store.mails import Mail, pushed
from authservice.store.resilience import asks_database
from authservice.store.sessions import with_session
from authservice.store.spending import Spending
from authservice.store.users import User, collection, update_lists

PROJECTION = {"twoStep": 1, "passkeys.id": 1}
_GUESSES_MAX = 5  # of the code of a set-up


@dataclass(frozen=True)
class Totp:
    """``secret`` is encrypted. ``last_step``: no code of this step or an earlier one is good any more."""

    secret: str
    confirmed_at: datetime
    last_step: int


@dataclass(frozen=True)
class PendingTotp:
    """Set up, and not confirmed by a code yet. ``secret`` is encrypted."""

    secret: str
    at: datetime


@dataclass(frozen=True)
class Factors:
    """``recovery_codes`` are their hashes, ``passkeys`` is how many there are."""

    totp: Totp | None
    pending: PendingTotp | None
    recovery_codes: tuple[str, ...]
    passkeys: int

    @property
    def recovery_codes_left(self) -> int:
        return len(self.recovery_codes)


NONE = Factors(None, None, (), 0)
REMOVED = {"twoStep": "", "passkeys": ""}  # what a write that removes every factor unsets


def are_needed_by(user: User) -> bool:
    """Whether the user has one of FLASK_SECOND_FACTOR_ROLES."""
    roles: frozenset[str] | None = current_state().settings["SECOND_FACTOR_ROLES"]
    return roles is not None and not roles.isdisjoint(user.roles)


@asks_database
def find(user_id: str) -> Factors:
    return read(collection().find_one({"_id": ObjectId(user_id)}, PROJECTION) or {})


@asks_database
def set_up_totp(user_id: str, session_id: str, pending: PendingTotp) -> bool:
    """Keep a secret until its first code, in place of another one that waits. False if the session has ended."""
    alive, entry = with_session(user_id, session_id), {**vars(pending), "guesses": 0}
    try:
        return collection().update_one(alive, {"$set": {"twoStep.pendingTotp": entry}}).matched_count == 1
    except WriteError:  # another stack stored something that is not an object; ours replaces it
        other = {"$or": [{"twoStep": {"$type": "array"}}, {"twoStep": {"$not": {"$type": "object"}}}]}
        update = {"$set": {"twoStep": {"pendingTotp": entry}}}
        return collection().update_one({**alive, **other}, update).matched_count == 1


@asks_database
def count_guess(user_id: str, pending: PendingTotp) -> bool:
    """Take one guess, before it is compared. False if none is left, or another secret waits."""
    condition = {
        "_id": ObjectId(user_id),
        "twoStep.pendingTotp.secret": pending.secret,
        "twoStep.pendingTotp.guesses": {"$gte": 0, "$lt": _GUESSES_MAX},
    }
    return collection().update_one(condition, {"$inc": {"twoStep.pendingTotp.guesses": 1}}).modified_count == 1


def confirming_totp(
    pending: PendingTotp, step: int, moment: datetime, code_hashes: Iterable[str], notice: Mail | None
) -> Spending:
    """Turns two steps on, for the write that raises the session: the code of ``step`` is spent by it."""
    two_step = {
        "totp": {"secret": pending.secret, "confirmedAt": moment, "lastStep": Int64(step)},
        "recoveryCodes": [*code_hashes],
        "recoveryCodesAt": moment,
        "failures": 0,
        "blockedUntil": None,
    }
    waiting = {"twoStep.pendingTotp.secret": pending.secret}
    return Spending(waiting, {"$set": {"twoStep": two_step}}, mails=(notice,) if notice else ())


@asks_database
def remove_totp(user_id: str, session_id: str, notice: Mail | None, *, needs_passkey: bool) -> bool:
    """Turn two steps off, and tell the user by mail, in one write.

    False if the session has ended, or the user ``needs_passkey`` and has none.
    """
    condition = with_session(user_id, session_id) | ({"passkeys.id": {"$type": "binData"}} if needs_passkey else {})
    return update_lists(condition, {"$unset": {"twoStep": ""}, "$push": pushed(notice)})


@asks_database
def replace_recovery_codes(user_id: str, session_id: str, code_hashes: Iterable[str]) -> bool:
    """False if two steps are off, or the session has ended."""
    condition = {**with_session(user_id, session_id), "twoStep.totp.confirmedAt": {"$type": "date"}}
    update = {"$set": {"twoStep.recoveryCodes": [*code_hashes], "twoStep.recoveryCodesAt": now()}}
    return collection().update_one(condition, update).matched_count == 1


@asks_database
def reset(user_id: str, notice: Mail | None) -> bool:
    """Remove every factor, end every session, and tell the user by mail, in one write. False if there is none."""
    update: dict[str, dict[str, Any]] = {"$unset": REMOVED, "$set": {"sessions": []}, "$push": pushed(notice)}
    return update_lists({"_id": ObjectId(user_id)}, update)


def removals_since(moment: datetime) -> Iterator[Spending]:
    """Of these writes exactly one meets its condition: it removes what was added after ``moment``, and what waits.

    The passkeys are the same in all of them. Recovery codes may be newer than the app that they stand in for.
    """
    later, passkeys = {"$gt": moment}, {"$pull": {"passkeys": {"createdAt": {"$gt": moment}}}}
    app, codes = "twoStep.totp.confirmedAt", "twoStep.recoveryCodesAt"
    yield Spending({app: later}, {"$unset": {"twoStep": ""}, **passkeys})
    for condition, removed in ((later, ("pendingTotp", "recoveryCodes")), ({"$not": later}, ("pendingTotp",))):
        unset = {f"twoStep.{name}": "" for name in removed}
        yield Spending({app: {"$not": later}, codes: condition}, {"$unset": unset, **passkeys})


def read(document: Mapping[str, Any]) -> Factors:
    """Of a document with PROJECTION. What another stack stored under these names in another shape counts as absent."""
    two_step, passkeys = document.get("twoStep"), document.get("passkeys")
    if not isinstance(two_step, dict):
        two_step = {}
    codes = two_step.get("recoveryCodes")
    return Factors(
        totp=_totp(two_step.get("totp")),
        pending=_pending(two_step.get("pendingTotp")),
        recovery_codes=tuple(code for code in codes if isinstance(code, str)) if isinstance(codes, list) else (),
        passkeys=sum(isinstance(one, dict) and isinstance(one.get("id"), bytes) for one in passkeys)
        if isinstance(passkeys, list)
        else 0,
    )


def _totp(stored: object) -> Totp | None:
    if not isinstance(stored, dict):
        return None
    secret, confirmed_at, last_step = (stored.get(name) for name in ("secret", "confirmedAt", "lastStep"))
    if not (isinstance(secret, str) and isinstance(confirmed_at, datetime) and isinstance(last_step, int)):
        return None
    return Totp(secret, confirmed_at, last_step)


def _pending(stored: object) -> PendingTotp | None:
    if not isinstance(stored, dict):
        return None
    secret, at = stored.get("secret"), stored.get("at")
    return PendingTotp(secret, at) if isinstance(secret, str) and isinstance(at, datetime) else None
