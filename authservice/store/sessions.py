"""The sessions inside the user's document: start, rotate, end.

sessions: [ { id, refreshJti, previousJti, rotatedAt, createdAt, lastUsedAt, expiresAt, userAgent, ip,
              deviceId, authenticatedAt, amr } ]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.state import current_state
from authservice.store import devices
from authservice.store.clock import now
from authservice.store.devices import Device
from authservice.store.mails import Mail, pushed
from authservice.store.resilience import asks_database
from authservice.store.spending import Spending
from authservice.store.users import OLD_HASH, StoredPassword, User, collection, read_user, update_lists

BY_PASSWORD = ("pwd",)
_ONE_STEP: tuple[Mapping[str, Any], ...] = (  # two steps are off, or another stack keeps lists there
    {"twoStep.totp.confirmedAt": {"$not": {"$type": "date"}}},
    {"twoStep": {"$type": "array"}},
    {"twoStep.totp": {"$type": "array"}},
)


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
    authenticated_at: datetime  # the last time that the user proved who it is; a refresh proves nothing
    amr: tuple[str, ...]  # how, in the words of RFC 8176


@asks_database
def start(
    user_id: str,
    checked: StoredPassword,
    session: Session,
    keep: int,
    renewed_hash: str | None,
    device: Device,
    notice: Mail | None,
    *,
    is_known: bool,
    spending: Spending | None = None,
) -> bool:
    """Add a session and its device, store a renewed hash, and tell the user by mail, in one write.

    Drops all but the ``keep`` most recently used sessions. False if the password changed, the device was added or
    forgotten, or the user was disabled or deleted, since the password was checked; and if ``spending`` is not met, or
    without it, if two steps are on.
    """
    renewed = {"password": renewed_hash, "passwordRenewedAt": now()} if renewed_hash is not None else {}
    unchanged = {"_id": ObjectId(user_id), **checked.unchanged, "disabledAt": None}
    started = {"sessions": {"$each": [_entry(session)], "$sort": {"lastUsedAt": 1}, "$slice": -keep}}
    told = pushed(notice, *(spending.mails if spending else ()))
    outdated = OLD_HASH if renewed else {}
    own = Spending(unchanged, {"$push": {**started, **told}, "$set": renewed, "$unset": outdated})
    write = own.joined(devices.seen(device, is_known=is_known)).joined(spending)
    # Not one write with $or, which reads all users in the embedded server.
    return any(
        update_lists({**write.condition, **one_of}, write.update, write.array_filters)
        for one_of in (({},) if spending else _ONE_STEP)
    )


@asks_database
def change_password(
    user_id: str, checked: StoredPassword, new_hash: str, own_id: str, successor: Session, notice: Mail | None
) -> bool:
    """Store a new hash, replace all sessions by one new session, and tell the user by mail, in one write.

    False if the password changed, or the session ``own_id`` ended, since the password was checked.
    """
    condition = {"_id": ObjectId(user_id), **checked.unchanged, "disabledAt": None, "sessions.id": own_id}
    changes = {"password": new_hash, "passwordChangedAt": now(), "sessions": [_entry(successor)]}
    removed = {"emailChange": "", **OLD_HASH}  # the change may be a thief's
    return update_lists(condition, {"$set": changes, "$unset": removed, "$push": pushed(notice)})


@asks_database
def authenticate_again(
    user_id: str,
    session_id: str,
    checked: StoredPassword | None,
    moment: datetime,
    amr: Sequence[str],
    spending: Spending | None = None,
) -> bool:
    """Write into a session when and how its user has proven it again, in one write with what that spends.

    False if the session has ended, the password changed since it was ``checked``, or ``spending`` is not met.
    """
    alive = {"$elemMatch": {"id": session_id, "expiresAt": {"$gt": moment}}}
    unchanged = checked.unchanged if checked else {}
    condition = {"_id": ObjectId(user_id), "disabledAt": None, "sessions": alive, **unchanged}
    proven = {"sessions.$[own].authenticatedAt": moment, "sessions.$[own].amr": [*amr]}
    told = pushed(*(spending.mails if spending else ()))
    write = Spending(condition, {"$set": proven, "$push": told}, ({"own.id": session_id},)).joined(spending)
    return update_lists(write.condition, write.update, write.array_filters)


@asks_database
def find(user_id: str, session_id: str) -> tuple[User, Session] | None:
    """An enabled user and the session, for a refresh."""
    projection = {**current_state().projection, "sessions": {"$elemMatch": {"id": session_id}}}
    condition = with_session(user_id, session_id)
    document = collection().find_one(condition, projection)
    user = read_user(document) if document else None
    if document is None or user is None or user.is_disabled:  # by another app, of which the condition says nothing
        return None
    return user, _session(document["sessions"][0])


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


def with_session(user_id: str, session_id: str) -> dict[str, Any]:
    """The condition of a write that only an enabled user with this session may cause."""
    return {"_id": ObjectId(user_id), "disabledAt": None, "sessions.id": session_id}


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
        "authenticatedAt": session.authenticated_at,
        "amr": [*session.amr],
    }


def _session(stored: Mapping[str, Any]) -> Session:
    """A session from before authenticatedAt and amr were kept began with a password."""
    authenticated_at, amr = stored.get("authenticatedAt"), stored.get("amr")
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
        authenticated_at=authenticated_at if isinstance(authenticated_at, datetime) else stored["createdAt"],
        amr=tuple(word for word in amr if isinstance(word, str)) if isinstance(amr, list) else BY_PASSWORD,
    )
