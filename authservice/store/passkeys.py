"""The passkeys inside the user's document: one conditional write for each change.

passkeys?: [ { id (bytes), publicKey (bytes, COSE), signCount, challengeAt (µs), name, transports, isSynced,
               createdAt, lastUsedAt } ]
passkeyChallengeAt?: when the last challenge that registered one was issued (µs)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.store import mails, users_fields
from authservice.store.clock import now
from authservice.store.email_changes import NO_PASSWORD_MATCHES
from authservice.store.mails import Mail
from authservice.store.resilience import asks_database
from authservice.store.sessions import with_session
from authservice.store.spending import Spending
from authservice.store.users import collection, update_lists

PASSKEYS_MAX = 10
_HAS_PASSWORD = {"password": {"$type": "string", "$ne": NO_PASSWORD_MATCHES}}
_HAS_TWO_STEPS = {"twoStep.totp.confirmedAt": {"$type": "date"}}


@dataclass(frozen=True)
class Passkey:
    """``challenge_at``: when the last challenge that it answered was issued, in µs since the epoch."""

    id: bytes
    public_key: bytes
    sign_count: int
    challenge_at: int
    name: str
    transports: tuple[str, ...]
    is_synced: bool
    created_at: datetime
    last_used_at: datetime | None = None


@asks_database
def of(user_id: str) -> list[Passkey]:
    """The user's passkeys, in the order in which they were registered."""
    return read(collection().find_one({"_id": ObjectId(user_id)}, {"passkeys": 1}) or {})


def read(document: Mapping[str, Any]) -> list[Passkey]:
    """What another stack stores under the same name counts as absent."""
    entries = document.get("passkeys")
    found = [_passkey(entry) for entry in entries] if isinstance(entries, list) else []
    return [passkey for passkey in found if passkey]


@asks_database
def register(user_id: str, session_id: str, passkey: Passkey, notice: Mail | None) -> bool:
    """Add a passkey, spend the challenge that it answered, and tell the user by mail, in one write.

    False if it is there, the user has PASSKEYS_MAX, the challenge or a later one is spent, or the session has ended.
    """
    condition = {
        **with_session(user_id, session_id),
        "passkeys.id": {"$ne": passkey.id},
        f"passkeys.{PASSKEYS_MAX - 1}": {"$exists": False},
        "passkeyChallengeAt": {"$not": {"$gte": passkey.challenge_at}},
    }
    update: dict[str, Any] = {
        "$push": {"passkeys": _entry(passkey), **mails.pushed(notice)},
        "$set": {"passkeyChallengeAt": passkey.challenge_at},
    }
    return update_lists(condition, update)


def spending(passkey: Passkey, challenge_at: int, sign_count: int, *, is_synced: bool) -> Spending:
    """What a sign-in by a passkey requires, and keeps of it. Its counter must be as it was when it was compared."""
    used = {
        "challengeAt": challenge_at,
        "signCount": sign_count,
        "isSynced": is_synced,
        "lastUsedAt": now(),
    }
    return Spending(
        {"passkeys": {"$elemMatch": _unspent(passkey, challenge_at)}},
        {"$set": {f"passkeys.$[used].{name}": value for name, value in used.items()}},
        ({"used.id": passkey.id},),
    )


@asks_database
def spend(user_id: str, passkey: Passkey, challenge_at: int, notice: Mail | None) -> bool:
    """Spend a challenge whose answer is refused, and tell the user by mail, once for each challenge."""
    condition = {"_id": ObjectId(user_id), "passkeys": {"$elemMatch": _unspent(passkey, challenge_at)}}
    update = {"$set": {"passkeys.$[used].challengeAt": challenge_at}, "$push": mails.pushed(notice)}
    return update_lists(condition, update, [{"used.id": passkey.id}])


@asks_database
def rename(user_id: str, passkey_id: bytes, name: str) -> bool:
    """False if there is no such passkey."""
    condition = {"_id": ObjectId(user_id), "passkeys": {"$elemMatch": _ours(passkey_id)}}
    return collection().update_one(condition, {"$set": {"passkeys.$.name": name}}).matched_count == 1


@asks_database
def delete(user_id: str, passkey_id: bytes, notice: Mail | None, *, needs_factor: bool) -> bool:
    """Remove a passkey and tell the user by mail, in one write, if there is still a way in: a password or another one.

    ``needs_factor``: with the password, two steps must be on. False if nothing is left, or there is no such passkey.
    """
    own = {"_id": ObjectId(user_id), "passkeys.id": passkey_id}
    another = {"$elemMatch": _ours({"$ne": passkey_id, "$type": "binData"})}
    update: dict[str, Any] = {"$pull": {"passkeys": {"id": passkey_id}}, "$push": mails.pushed(notice)}
    # Each is a write that refuses by itself, and not one with $or, which reads all users in the embedded server.
    return any(
        update_lists({**own, **way_in}, update)
        for way_in in (
            *({**password, **(_HAS_TWO_STEPS if needs_factor else {})} for password in _passwords()),
            {"passkeys": another},
        )
    )


@asks_database
def has_password(user_id: str) -> bool:
    own = {"_id": ObjectId(user_id)}
    return any(collection().find_one({**own, **password}, {"_id": 1}) is not None for password in _passwords())


def _passwords() -> list[dict[str, Any]]:
    """The conditions of which a user who has a password meets one."""
    return [_HAS_PASSWORD, *users_fields.with_their_password()]


def _ours(id: object) -> dict[str, Any]:
    return {"id": id, "publicKey": {"$type": "binData"}}


def _unspent(passkey: Passkey, challenge_at: int) -> dict[str, Any]:
    return {"id": passkey.id, "challengeAt": {"$lt": challenge_at}, "signCount": passkey.sign_count}


def _entry(passkey: Passkey) -> dict[str, Any]:
    return {
        "id": passkey.id,
        "publicKey": passkey.public_key,
        "signCount": passkey.sign_count,
        "challengeAt": passkey.challenge_at,
        "name": passkey.name,
        "transports": [*passkey.transports],
        "isSynced": passkey.is_synced,
        "createdAt": passkey.created_at,
        "lastUsedAt": passkey.last_used_at,
    }


def _passkey(stored: object) -> Passkey | None:
    types = {
        "id": bytes,
        "publicKey": bytes,
        "signCount": int,
        "challengeAt": int,
        "name": str,
        "transports": list,
        "isSynced": bool,
        "createdAt": datetime,
    }
    if not isinstance(stored, dict) or not all(isinstance(stored.get(name), kind) for name, kind in types.items()):
        return None
    last_used_at = stored.get("lastUsedAt")
    return Passkey(
        id=stored["id"],
        public_key=stored["publicKey"],
        sign_count=stored["signCount"],
        challenge_at=stored["challengeAt"],
        name=stored["name"],
        transports=tuple(one for one in stored["transports"] if isinstance(one, str)),
        is_synced=stored["isSynced"],
        created_at=stored["createdAt"],
        last_used_at=last_used_at if isinstance(last_used_at, datetime) else None,
    )
