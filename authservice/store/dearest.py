"""The dearest hashes of other stacks that the collection holds, which decide how long a refused password takes."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pymongo
from flask import Flask, current_app
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from authservice.errors import DatabaseUnavailable
from authservice.store.resilience import asks_database

_FIRST_READ_SECONDS = 5.0
_PAUSE_SECONDS = 60.0
_PAUSES_A_READ = 100  # the embedded server reads every document in the index, so a read may take long
_LOOKED_AT = 8  # the other app may have replaced the dearest hash by one that is not as dear


class DearestHashes:
    """What the last read found. No request waits for one, but for the first, which comes with the indexes.

    If the database cannot be asked, the last result stays.
    """

    def __init__(self, users: Collection[dict[str, Any]]) -> None:
        self._users = users
        self._stored: Sequence[object] = ()
        self._read_at: float | None = None  # None: the index may be missing, and a read would look at all users
        self._lock = threading.Lock()

    def stored(self) -> Sequence[object]:
        """The values of ``password``, of any type; the same object until they are read again."""
        with self._lock:
            is_due = self._read_at is not None and time.monotonic() >= self._read_at
            if is_due:
                self._read_at = time.monotonic() + _PAUSE_SECONDS
        if is_due:
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
            threading.Thread(target=self._read_again, args=(app,), daemon=True).start()
        return self._stored

    def read_first(self) -> None:
        """Call it when the index is there, and before the first password is checked."""
        with suppress(PyMongoError), pymongo.timeout(_FIRST_READ_SECONDS):
            self._read()

    def _read_again(self, app: Flask) -> None:
        with suppress(DatabaseUnavailable), app.app_context():
            _read_dearest(self)

    def _read(self) -> None:
        started = time.monotonic()
        try:
            found = self._users.find({"legacy.work": {"$gt": 0}}, {"password": 1}).sort("legacy.work", -1)
            self._stored = tuple(document.get("password") for document in found.limit(_LOOKED_AT))
        finally:
            ended = time.monotonic()
            self._read_at = ended + max(_PAUSE_SECONDS, _PAUSES_A_READ * (ended - started))


@asks_database
def _read_dearest(dearest: DearestHashes) -> None:
    dearest._read()
