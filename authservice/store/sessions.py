"""The sessions inside the user's document: start, rotate, end, and the guard's read.

sessions: [ { id, refreshJti, previousJti, rotatedAt, createdAt, lastUsedAt, expiresAt, userAgent, ip } ]
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import gevent
from bson import ObjectId
from gevent import monkey
from pymongo.errors import WriteError

from authservice.errors import DatabaseUnavailable
from authservice.store import asks_database, spend, spend_waiting
from authservice.store.users import PUBLIC, StoredPassword, User, collection, now, read_user

_GUARDS_MAX = 64  # in one read
_GATHERING_SECONDS = 0.005  # at the most, where a worker has always something to do


@dataclass(frozen=True)
class Session:
    """One sign-in, until it is ended. ``refresh_id`` is the jti of the one refresh token that is good now."""

    id: str
    refresh_id: str
    previous_id: str | None
    rotated_at: datetime
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str
    ip: str | None


@asks_database
def start(user_id: str, checked: StoredPassword, session: Session, keep: int, renewed_hash: str | None) -> bool:
    """Add a session and drop all but the ``keep`` most recently used, storing a renewed hash in the same write.

    False when, since the password was checked, it has changed or the user was disabled or deleted.
    """
    entry = _entry(session)
    renewed = {"password": renewed_hash, "passwordChangedAt": now()} if renewed_hash is not None else {}
    condition = {"_id": ObjectId(user_id), "password": checked.hash, "disabledAt": None}
    update: dict[str, Any] = {
        "$push": {"sessions": {"$each": [entry], "$sort": {"lastUsedAt": 1}, "$slice": -keep}},
    }
    if renewed:
        update["$set"] = renewed
    try:
        return collection().update_one(condition, update).modified_count == 1
    except WriteError:
        # Another stack keeps something of its own under the name: what is no list gives way to ours.
        no_list = {**condition, "sessions": {"$not": {"$type": "array"}}}
        return collection().update_one(no_list, {"$set": {**renewed, "sessions": [entry]}}).modified_count == 1


@asks_database
def change_password(user_id: str, checked: StoredPassword, new_hash: str, own_id: str, successor: Session) -> bool:
    """Store a new hash, and one new session in place of all that there were, in one write.

    False when, since the password was checked, it has changed or the session ``own_id`` was ended.
    """
    written = collection().update_one(
        {"_id": ObjectId(user_id), "password": checked.hash, "disabledAt": None, "sessions.id": own_id},
        {"$set": {"password": new_hash, "passwordChangedAt": now(), "sessions": [_entry(successor)]}},
    )
    return written.modified_count == 1


class _Guards:
    """Guards that ask together, and what the database answers all of them."""

    def __init__(self) -> None:
        self.sessions: dict[ObjectId, str] = {}  # of each user the one that he shows
        self.are_sent = False
        self.users: dict[ObjectId, User] | None = None
        self.seconds = 0.0
        self.are_answered: threading.Event | None = None  # for all but the first, who asks

    def have_room(self, user_id: ObjectId, session_id: str) -> bool:
        """The answer tells that a session of a user lives, and not which: none of his may ask beside another."""
        return len(self.sessions) < _GUARDS_MAX and self.sessions.get(user_id, session_id) == session_id


_gathering: _Guards | None = None  # whom the next one joins
_lock = threading.Lock()


def find_user(user_id: str, session_id: str) -> User | None:
    """The user, if enabled and the session lives: the guard's read.

    Guards of the same moment, or that wait for a connection, ask together: the database has less work, and so has the
    driver. A read that was sent takes no more of them, so no answer is older than its question.
    """
    key = ObjectId(user_id)
    left_seconds = None  # the first of them came before this one, and gives up before it: no timer is wanted
    while True:
        guards, answered = _join(key, session_id)
        if answered is None:
            _ask_for(guards)
            break
        started = time.monotonic()
        answered.wait(left_seconds)
        if guards.are_sent:
            answered.wait()  # for what was sent in the last moment
            spend(guards.seconds)
            break
        # The first of them has waited too long, but not all have. Who leads the next may have come later.
        left_seconds = spend_waiting(time.monotonic() - started)
    if guards.users is None:
        raise DatabaseUnavailable
    return guards.users.get(key)


def _join(user_id: ObjectId, session_id: str) -> tuple[_Guards, threading.Event | None]:
    """With an event to wait for, or None for the first, who is to ask."""
    global _gathering
    with _lock:
        guards, answered = _gathering, None
        if guards is None or not guards.have_room(user_id, session_id):
            guards = _gathering = _Guards()
        else:
            answered = guards.are_answered = guards.are_answered or threading.Event()
        guards.sessions[user_id] = session_id
    return guards, answered


def _ask_for(guards: _Guards) -> None:
    """Whatever happens to the one who asks, the others are told."""
    try:
        if monkey.is_module_patched("socket"):
            with gevent.Timeout(_GATHERING_SECONDS, False):
                gevent.idle()  # until whoever has a request has joined
        guards.users = find_users(guards)
    finally:
        _part(guards)  # if not even a connection was there
        if guards.are_answered:
            guards.are_answered.set()


def _part(guards: _Guards) -> None:
    """Nobody joins them any more."""
    global _gathering
    with _lock:
        if _gathering is guards:
            _gathering = None


@asks_database
def find_users(guards: _Guards) -> dict[ObjectId, User]:
    """By ``_id`` and with a projection. An id of a session is random, and is in nobody else's document."""
    _part(guards)
    guards.are_sent = True
    started = time.perf_counter()
    alive = {"$elemMatch": {"id": {"$in": [*guards.sessions.values()]}, "expiresAt": {"$gt": now()}}}
    condition = {"_id": {"$in": [*guards.sessions]}, "disabledAt": None, "sessions": alive}
    users = {document["_id"]: read_user(document) for document in collection().find(condition, PUBLIC)}
    guards.seconds = time.perf_counter() - started
    return users


@asks_database
def find(user_id: str, session_id: str) -> tuple[User, Session] | None:
    """An enabled user and the session, for a refresh."""
    projection = {**PUBLIC, "sessions": {"$elemMatch": {"id": session_id}}}
    condition = {"_id": ObjectId(user_id), "disabledAt": None, "sessions.id": session_id}
    document = collection().find_one(condition, projection)
    return (read_user(document), _session(document["sessions"][0])) if document else None


@asks_database
def rotate(user_id: str, successor: Session) -> bool:
    """Store the session's next state if its ``previous_id`` is the current one; of many at once, one is told True."""
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
    """The user's living sessions, the most recently used first."""
    document = collection().find_one({"_id": ObjectId(user_id)}, {"sessions": 1}) or {}
    entries = document.get("sessions")
    ours = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found = [_session(entry) for entry in ours if "refreshJti" in entry]
    living = [session for session in found if session.expires_at > now()]
    return sorted(living, key=lambda session: session.last_used_at, reverse=True)


@asks_database
def end(user_id: str, session_id: str) -> bool:
    """False when there is no such session."""
    ended = collection().update_one({"_id": ObjectId(user_id)}, {"$pull": {"sessions": {"id": session_id}}})
    return ended.modified_count == 1


@asks_database
def end_all(user_id: str, but: str | None = None) -> None:
    """End every session, or all others than ``but``."""
    change: dict[str, Any] = (
        {"$set": {"sessions": []}} if but is None else {"$pull": {"sessions": {"id": {"$ne": but}}}}
    )
    collection().update_one({"_id": ObjectId(user_id)}, change)


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
    )
