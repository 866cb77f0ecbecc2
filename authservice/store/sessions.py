"""The sessions inside the user's document: start, rotate, end.

sessions: [ { id, refreshJti, previousJti, rotatedAt, createdAt, lastUsedAt, expiresAt, userAgent, ip,
              deviceId } ]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import WriteError

from authservice.state import current_state
from authservice.store import devices
from authservice.store.devices import Device
from authservice.store.resilience import asks_database
from authservice.store.users import StoredPassword, User, collection, now, read_user


@dataclass(frozen=True)
class Session:
    """One sign-in, until it ends. ``refresh_id`` is the jti of the only refresh token that is valid now."""

    id: str
    refresh_id: str
    previous_id: str | None
    rotated_at: datetime
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str
    ip: str | None
    device_id: str | None  # None for a session from before devices were kept


@asks_database
def start(
    user_id: str,
    checked: StoredPassword,
    session: Session,
    keep: int,
    renewed_hash: str | None,
    device: Device,
    *,
    is_known: bool,
) -> bool:
    """Add a session and its device, and store a renewed hash, in one write.

    Drops all but the ``keep`` most recently used sessions. False if the password changed, the device was added or
    forgotten, or the user was disabled or deleted, since the password was checked.
    """
    renewed = {"password": renewed_hash, "passwordChangedAt": now()} if renewed_hash is not None else {}
    unchanged = {"_id": ObjectId(user_id), "password": checked.hash, "disabledAt": None}
    device_unchanged, update = devices.seen(device, is_known=is_known)
    pushed = {"sessions": {"$each": [_entry(session)], "$sort": {"lastUsedAt": 1}, "$slice": -keep}}
    update["$push"] = {**update.get("$push", {}), **pushed}
    if renewed:
        update["$set"] = {**update.get("$set", {}), **renewed}
    condition = {**unchanged, **device_unchanged}
    try:
        return collection().update_one(condition, update).modified_count == 1
    except WriteError:
        # Another stack stored something else under these names. What is not a list makes room for ours.
        for name in ("sessions", "devices"):
            no_list = {**unchanged, name: {"$not": {"$type": "array"}}}
            collection().update_one(no_list, {"$set": {name: []}})
        return collection().update_one(condition, update).modified_count == 1


@asks_database
def change_password(user_id: str, checked: StoredPassword, new_hash: str, own_id: str, successor: Session) -> bool:
    """Store a new hash, and replace all sessions by one new session, in one write.

    False if the password changed, or the session ``own_id`` ended, since the password was checked.
    """
    written = collection().update_one(
        {"_id": ObjectId(user_id), "password": checked.hash, "disabledAt": None, "sessions.id": own_id},
        {"$set": {"password": new_hash, "passwordChangedAt": now(), "sessions": [_entry(successor)]}},
    )
    return written.modified_count == 1


@asks_database
def find(user_id: str, session_id: str) -> tuple[User, Session] | None:
    """An enabled user and the session, for a refresh."""
    projection = {**current_state().projection, "sessions": {"$elemMatch": {"id": session_id}}}
    condition = {"_id": ObjectId(user_id), "disabledAt": None, "sessions.id": session_id}
    document = collection().find_one(condition, projection)
    return (read_user(document), _session(document["sessions"][0])) if document else None


@asks_database
def rotate(user_id: str, successor: Session) -> bool:
    """Store the session's next state if its ``previous_id`` is the current one. Of concurrent calls one gets True."""
    current = {"id": successor.id, "refreshJti": successor.previous_id, "expiresAt": {"$gt": successor.rotated_at}}
    rotated = collection().update_one(
        {"_id": ObjectId(user_id), "disabledAt": None, "sessions": {"$elemMatch": current}},
        {
            "$set": {
                "sessions.$.refreshJti": successor.refresh_id,
                "sessions.$.previousJti": successor.previous_id,
                "sessions.$.rotatedAt": successor.rotated_at,
                "sessions.$.lastUsedAt": successor.last_used_at,
                "sessions.$.expiresAt": successor.expires_at,
            }
        },
    )
    return rotated.modified_count == 1


@asks_database
def of(user_id: str) -> list[Session]:
    """The user's live sessions, most recently used first."""
    document = collection().find_one({"_id": ObjectId(user_id)}, {"sessions": 1}) or {}
    entries = document.get("sessions")
    ours = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found = [_session(entry) for entry in ours if "refreshJti" in entry]
    living = [session for session in found if session.expires_at > now()]
    return sorted(living, key=lambda session: session.last_used_at, reverse=True)


@asks_database
def end(user_id: str, session_id: str) -> bool:
    """False if there is no such session."""
    ended = collection().update_one({"_id": ObjectId(user_id)}, {"$pull": {"sessions": {"id": session_id}}})
    return ended.modified_count == 1


@asks_database
def end_all(user_id: str, but: str | None = None) -> bool:
    """End every session, or all except ``but``. False if there was none."""
    change: dict[str, Any] = (
        {"$set": {"sessions": []}} if but is None else {"$pull": {"sessions": {"id": {"$ne": but}}}}
    )
    return collection().update_one({"_id": ObjectId(user_id)}, change).modified_count == 1


@asks_database
def end_all_and_forget_devices(user_id: str) -> bool:
    """End every session and forget every device, in one write. False if there was no session."""
    own: dict[str, Any] = {"_id": ObjectId(user_id)}
    forgotten: dict[str, Any] = {"$set": {"sessions": [], "devices": []}}
    if collection().update_one({**own, "sessions.0": {"$exists": True}}, forgotten).matched_count == 1:
        return True
    collection().update_one(own, forgotten)
    return False


def _entry(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "refreshJti": session.refresh_id,
        "previousJti": session.previous_id,
        "rotatedAt": session.rotated_at,
        "createdAt": session.created_at,
        "lastUsedAt": session.last_used_at,
        "expiresAt": session.expires_at,
        "userAgent": session.user_agent,
        "ip": session.ip,
        "deviceId": session.device_id,
    }


def _session(stored: Mapping[str, Any]) -> Session:
    return Session(
        id=stored["id"],
        refresh_id=stored["refreshJti"],
        previous_id=stored["previousJti"],
        rotated_at=stored["rotatedAt"],
        created_at=stored["createdAt"],
        last_used_at=stored["lastUsedAt"],
        expires_at=stored["expiresAt"],
        user_agent=stored["userAgent"],
        ip=stored["ip"],
        device_id=stored.get("deviceId"),
    )
