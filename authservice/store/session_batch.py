"""The guard's read, in batches: guards of the same moment ask the database together."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import gevent
from bson import ObjectId
from gevent import monkey
from pymongo.collection import Collection

from authservice.errors import DatabaseUnavailable
from authservice.state import current_state
from authservice.store.resilience import asks_database, charge_query, charge_wait
from authservice.store.users import User, now, read_user

_BATCH_MAX = 64  # lookups in one read
_OPEN_SECONDS = 0.005  # at most, where a worker is never idle


class LookupBatch:
    """Lookups that are one read, and its result."""

    def __init__(self) -> None:
        self.sessions: dict[ObjectId, str] = {}  # the one session of each user
        self.is_sent = False
        self.users: dict[ObjectId, User] | None = None
        self.seconds = 0.0
        self.answered: threading.Event | None = None  # for all but the first lookup, which sends the read

    def has_room(self, user_id: ObjectId, session_id: str) -> bool:
        """The result says that a session of a user lives, not which: two of one user cannot share a batch."""
        return len(self.sessions) < _BATCH_MAX and self.sessions.get(user_id, session_id) == session_id


class SessionLookups:
    """The batch of an application that the next lookup joins."""

    def __init__(self, users: Collection[dict[str, Any]], projection: Mapping[str, int]) -> None:
        self.users, self.projection = users, projection
        self.open_batch: LookupBatch | None = None
        self._lock = threading.Lock()

    def join(self, user_id: ObjectId, session_id: str) -> tuple[LookupBatch, threading.Event | None]:
        """With an event to wait for, or None for the first, which sends the read."""
        with self._lock:
            batch, answered = self.open_batch, None
            if batch is None or not batch.has_room(user_id, session_id):
                batch = self.open_batch = LookupBatch()
            else:
                answered = batch.answered = batch.answered or threading.Event()
            batch.sessions[user_id] = session_id
        return batch, answered

    def close(self, batch: LookupBatch) -> None:
        """No lookup joins it from now on."""
        with self._lock:
            if self.open_batch is batch:
                self.open_batch = None


def find_user(user_id: str, session_id: str) -> User | None:
    """The user, if enabled and the session lives: the guard's read.

    Lookups of the same moment, or that wait for a connection, are one read: the database has less work, and so has the
    driver. A batch that was sent takes no more of them, so no answer is older than its question.
    """
    key = ObjectId(user_id)
    lookups = current_state().lookups
    left_seconds = None  # the first lookup came before this one and gives up before it: it needs no timer
    while True:
        batch, answered = lookups.join(key, session_id)
        if answered is None:
            _send(lookups, batch)
            break
        started = time.monotonic()
        answered.wait(left_seconds)
        if batch.is_sent:
            answered.wait()  # for what was sent in the last moment
            charge_query(batch.seconds)
            break
        # The first lookup has waited too long, but not all have. The first of the next batch may have come later.
        left_seconds = charge_wait(time.monotonic() - started)
    if batch.users is None:
        raise DatabaseUnavailable
    return batch.users.get(key)


def _send(lookups: SessionLookups, batch: LookupBatch) -> None:
    """Whatever happens to the first lookup, the others are woken."""
    try:
        if monkey.is_module_patched("socket"):
            with gevent.Timeout(_OPEN_SECONDS, False):
                gevent.idle()  # until every request that is there has joined
        batch.users = find_users(lookups, batch)
    finally:
        lookups.close(batch)  # if not even a connection was there
        if batch.answered:
            batch.answered.set()


@asks_database
def find_users(lookups: SessionLookups, batch: LookupBatch) -> dict[ObjectId, User]:
    """By ``_id`` and with a projection. A session's id is random, so it is in no other user's document."""
    lookups.close(batch)
    batch.is_sent = True
    started = time.perf_counter()
    alive = {"$elemMatch": {"id": {"$in": [*batch.sessions.values()]}, "expiresAt": {"$gt": now()}}}
    condition = {"_id": {"$in": [*batch.sessions]}, "disabledAt": None, "sessions": alive}
    users = {document["_id"]: read_user(document) for document in lookups.users.find(condition, lookups.projection)}
    batch.seconds = time.perf_counter() - started
    return users
