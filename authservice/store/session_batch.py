"""The guard's read, in batches: guards that run at the same moment share one query."""

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
from authservice.store.clock import now
from authservice.store.resilience import asks_database, charge_query, charge_wait
from authservice.store.users import User, read_user

_BATCH_MAX = 64  # lookups in one read: docs/decisions/0006-lookup-batches.md
_OPEN_SECONDS = 0.005  # at most, if a worker is never idle


class LookupBatch:
    """Lookups that share one query, and its result."""

    def __init__(self) -> None:
        self.sessions: dict[ObjectId, str] = {}  # the one session of each user
        self.is_sent = False
        self.users: dict[ObjectId, User] | None = None
        self.seconds = 0.0
        self.answered: threading.Event | None = None  # for all lookups but the first, which sends the query

    def has_room(self, user_id: ObjectId, session_id: str) -> bool:
        """The result says that a user has a live session, not which: two sessions of a user need two batches."""
        return len(self.sessions) < _BATCH_MAX and self.sessions.get(user_id, session_id) == session_id


class SessionLookups:
    """The open batch of an application, which the next lookup joins."""

    def __init__(self, users: Collection[dict[str, Any]], projection: Mapping[str, int]) -> None:
        self.users, self.projection = users, projection
        self.open_batch: LookupBatch | None = None
        self._lock = threading.Lock()

    def join(self, user_id: ObjectId, session_id: str) -> tuple[LookupBatch, threading.Event | None]:
        """The batch, and an event to wait for; None for the first lookup, which sends the query."""
        with self._lock:
            batch, answered = self.open_batch, None
            if batch is None or not batch.has_room(user_id, session_id):
                batch = self.open_batch = LookupBatch()
            else:
                answered = batch.answered = batch.answered or threading.Event()
            batch.sessions[user_id] = session_id
        return batch, answered

    def close(self, batch: LookupBatch) -> None:
        """From now on no lookup joins the batch."""
        with self._lock:
            if self.open_batch is batch:
                self.open_batch = None


def find_user(user_id: str, session_id: str) -> User | None:
    """The user, if enabled and with a live session: the guard's read.

    Lookups that run at the same moment, or wait for a connection, share one query, which saves work in the database and
    in the driver. A batch that was sent is closed, so no result is older than its lookup.
    """
    key = ObjectId(user_id)
    lookups = current_state().lookups
    left_seconds = None  # no timer: the first lookup started earlier, so it gives up earlier
    while True:
        batch, answered = lookups.join(key, session_id)
        if answered is None:
            _send(lookups, batch)
            break
        started = time.monotonic()
        answered.wait(left_seconds)
        if batch.is_sent:
            answered.wait()  # the query is on its way
            charge_query(batch.seconds)
            break
        # The first lookup has waited too long, but others may wait on. The next batch may have a later first lookup.
        left_seconds = charge_wait(time.monotonic() - started)
    if batch.users is None:
        raise DatabaseUnavailable
    return batch.users.get(key)


def _send(lookups: SessionLookups, batch: LookupBatch) -> None:
    """Send the query. The other lookups are woken even if it fails."""
    try:
        if monkey.is_module_patched("socket"):
            with gevent.Timeout(_OPEN_SECONDS, False):
                gevent.idle()  # until every request that has arrived has joined
        batch.users = find_users(lookups, batch)
    finally:
        lookups.close(batch)  # in case there was no connection
        if batch.answered:
            batch.answered.set()


@asks_database
def find_users(lookups: SessionLookups, batch: LookupBatch) -> dict[ObjectId, User]:
    """By ``_id`` and with a projection. Session ids are random, so no other user's document has the same one."""
    lookups.close(batch)
    batch.is_sent = True
    started = time.perf_counter()
    alive = {"$elemMatch": {"id": {"$in": [*batch.sessions.values()]}, "expiresAt": {"$gt": now()}}}
    condition = {"_id": {"$in": [*batch.sessions]}, "disabledAt": None, "sessions": alive}
    users = {document["_id"]: read_user(document) for document in lookups.users.find(condition, lookups.projection)}
    batch.seconds = time.perf_counter() - started
    # The condition says nothing of another app's field.
    return {user_id: user for user_id, user in users.items() if not user.is_disabled}
