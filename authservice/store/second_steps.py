"""Second steps in the user's document: their attempts are counted, and what proves one is spent.

twoStep: { .., failures, blockedUntil }                       <- store/factors.py
"""

from datetime import datetime, timedelta
from typing import Any

from bson import Int64, ObjectId

from authservice.store.clock import now
from authservice.store.factors import Totp
from authservice.store.mails import Mail
from authservice.store.resilience import asks_database
from authservice.store.spending import Spending
from authservice.store.users import OLD_HASH, StoredPassword, collection

_FREE = 5
_FAILURES_MAX = 100
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 60, 3_600
_TRIES = 3  # of concurrent attempts, one succeeds in each round
_FORGOTTEN: dict[str, Any] = {"twoStep.failures": 0, "twoStep.blockedUntil": None}


@asks_database
def claim_attempt(user_id: str, checked: StoredPassword) -> float | None:
    """Count an attempt as failed, before the code is judged: of many at once, no more are judged than one by one.

    The write that spends the code takes it back. 0 if it may be judged, else the seconds until the next attempt; None
    if there have been so many that only another factor or an admin opens it.
    docs/decisions/0081-attempts-at-second-steps.md
    """
    for _ in range(_TRIES):
        document = collection().find_one({"_id": ObjectId(user_id)}, {"twoStep": 1}) or {}
        two_step = document.get("twoStep")
        two_step = two_step if isinstance(two_step, dict) else {}
        stored, until, moment = two_step.get("failures"), two_step.get("blockedUntil"), now()
        failures = stored if isinstance(stored, int) else 0
        if failures >= _FAILURES_MAX:
            return None
        if isinstance(until, datetime) and until > moment:
            return (until - moment).total_seconds()
        unchanged = {
            f"twoStep.{name}": {"$eq": two_step[name]} if name in two_step else {"$exists": False}
            for name in ("failures", "blockedUntil")
        }
        claimed = {"twoStep.failures": failures + 1, "twoStep.blockedUntil": _blocked_until(failures + 1, moment)}
        own = {"_id": ObjectId(user_id), **checked.unchanged, "disabledAt": None}
        if collection().update_one({**own, **unchanged}, {"$set": claimed}).modified_count == 1:
            return 0
    return 1


def _blocked_until(failures: int, moment: datetime) -> datetime | None:
    if failures < _FREE:
        return None
    doublings = min(failures - _FREE, _LONGEST_WAIT_SECONDS.bit_length())
    return moment + timedelta(seconds=min(_FIRST_WAIT_SECONDS * 2**doublings, _LONGEST_WAIT_SECONDS))


def spend_step(totp: Totp, step: int, secret: str) -> Spending:
    """For a code of this step: no code of it, or of an earlier one, is good again. It stores ``secret`` anew."""
    unspent = {"twoStep.totp.secret": totp.secret, "twoStep.totp.lastStep": {"$lt": Int64(step)}}
    return Spending(
        unspent, {"$set": {"twoStep.totp.secret": secret, "twoStep.totp.lastStep": Int64(step), **_FORGOTTEN}}
    )


def spend_recovery_code(code_hash: str, notice: Mail | None) -> Spending:
    """It takes no attempt, since nobody guesses 80 bits; so it also opens what too many attempts have closed."""
    used = {"$pull": {"twoStep.recoveryCodes": code_hash}, "$set": {**_FORGOTTEN}}
    return Spending({"twoStep.recoveryCodes": code_hash}, used, mails=(notice,) if notice else ())


def forgive(spending: Spending) -> Spending:
    """Also take back the failures of a user who has two steps on: a passkey takes no attempt either."""
    return spending.joined(Spending({}, {"$set": {**_FORGOTTEN}}))


@asks_database
def renew_hash(user_id: str, checked: StoredPassword, renewed_hash: str) -> bool:
    """What ``sessions.start`` does at a sign-in of one step. False if the password changed since it was checked."""
    unchanged = {"_id": ObjectId(user_id), **checked.unchanged, "disabledAt": None}
    renewed = {"password": renewed_hash, "passwordRenewedAt": now()}
    return collection().update_one(unchanged, {"$set": renewed, "$unset": OLD_HASH}).modified_count == 1
