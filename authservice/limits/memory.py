"""What a worker itself remembers of attempts. It is bounded, and a flood costs no database."""

import threading
import time
from collections import OrderedDict
from typing import Any

from authservice.config import Rate

REMEMBERED_SECONDS = 5.0  # at most: `users unlock` has an effect in all workers after that
_ENTRIES_MAX = 8_192


class LocalBudgets:
    """GCRA, as in store/limits.py, for the subjects that were seen last."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, subject: str, rate: Rate) -> float:
        """Take a unit: 0, or the seconds until there is one."""
        moment = time.monotonic()
        with self._lock:
            full_at = max(self._full_at.get(subject, moment), moment)
            wait_seconds = full_at - moment - rate.reach_seconds
            if wait_seconds > 0:
                return wait_seconds
            self._full_at[subject] = full_at + rate.unit_seconds
            _bound(self._full_at, subject)
        return 0.0


class Refusals:
    """The budgets that the database has just said are spent."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, tuple[float, float]] = OrderedDict()  # when to forget it, when it has a unit
        self._lock = threading.Lock()

    def remember(self, key: str, wait_seconds: float) -> None:
        moment = time.monotonic()
        with self._lock:
            self._until[key] = moment + min(wait_seconds, REMEMBERED_SECONDS), moment + wait_seconds
            _bound(self._until, key)

    def forget(self, key: str) -> None:
        with self._lock:
            self._until.pop(key, None)

    def wait_seconds(self, key: str) -> float:
        """0 if nothing is known."""
        moment = time.monotonic()
        with self._lock:
            forget_at, free_at = self._until.get(key, (moment, moment))
            if forget_at <= moment:
                self._until.pop(key, None)
                return 0.0
        return free_at - moment


def _bound(entries: OrderedDict[str, Any], used: str) -> None:
    entries.move_to_end(used)
    if len(entries) > _ENTRIES_MAX:
        entries.popitem(last=False)
