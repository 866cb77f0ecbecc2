"""The counters of the limits: { _id, tat, expireAt }, one document for each budget and subject.

The algorithm is GCRA. ``tat`` is when the budget is full again, in seconds since the epoch. An attempt moves it by the
time in which one unit comes back, unless it would then be later than the burst allows.
"""

import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from authservice.config import Rate
from authservice.state import current_state
from authservice.store.resilience import asks_database

NAME = "limits"
_SLACK_SECONDS = 60.0  # by which the clocks of several hosts may differ
_SHOWN_MAX = 200
_DUPLICATE_KEY = 11_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one attempt takes of one budget. ``key`` is ``budget:subject`` or ``budget:subject:subject``."""

    key: str
    rate: Rate

    @property
    def budget(self) -> str:
        return self.key.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of some counters, by how they begin and end."""

    start: str
    end: str = ""

    def match(self, key: str) -> bool:
        return key.startswith(self.start) and key.endswith(self.end)


@dataclass(frozen=True, slots=True)
class Spent:
    """The budget that has no unit left, and when it has one again."""

    unit: Unit
    wait_seconds: float


def of_database(users: Collection[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """The collection beside the users. A count that is lost with a failing primary does no harm."""
    return users.database.get_collection(NAME, write_concern=WriteConcern(w=1), read_preference=users.read_preference)


def build_index(counters: Collection[dict[str, Any]]) -> None:
    """Let the database delete budgets that are full again. Without the index the limits work, but nothing is deleted.

    Partial: an app may have a collection of this name, with documents of its own.
    """
    try:
        counters.create_index("expireAt", expireAfterSeconds=0, partialFilterExpression={"tat": {"$type": "number"}})
    except PyMongoError as error:
        log.error("indexes_not_built", extra={"error": type(error).__name__})


def take_units(units: Sequence[Unit]) -> Spent | None:
    """Take all of the units, or none: then the first budget that is spent."""
    moment, taken, is_again = time.time(), 0, False
    while (met := _take_until_spent(units[taken:], moment)) is not None:
        # No document matched, so the upsert met the existing one: the budget is spent, or another attempt was first.
        is_again = is_again and met == 0
        taken += met
        wait_seconds = _wait_seconds(units[taken], moment)
        if wait_seconds > 0 or is_again:
            if taken:
                give_back_units(units[:taken])
            return Spent(units[taken], wait_seconds)
        is_again = True
    return None


@asks_database
def _take_until_spent(units: Sequence[Unit], moment: float) -> int | None:
    """The index of the first unit that was not taken."""
    try:
        current_state().counters.bulk_write([_taking(unit, moment) for unit in units], ordered=True)
        return None
    except BulkWriteError as error:
        failed: dict[str, Any] = next(iter(error.details["writeErrors"]), {"code": None})
        if failed["code"] != _DUPLICATE_KEY:
            raise
        index: int = failed["index"]
        return index


@asks_database
def give_back_units(units: Sequence[Unit]) -> None:
    """A unit each, and never more: what others have taken meanwhile stays taken."""
    backward = [UpdateOne({"_id": unit.key}, {"$inc": {"tat": -unit.rate.unit_seconds}}) for unit in units]
    current_state().counters.bulk_write(backward, ordered=False)


@asks_database
def find_counters(wanted: Iterable[Keys]) -> list[tuple[str, float]]:
    """Key and ``tat`` of the first of those that are not full."""
    found = current_state().counters.find(_any_of(wanted)).limit(_SHOWN_MAX)
    moment = time.time()
    return sorted((counter["_id"], counter["tat"]) for counter in found if counter["tat"] > moment)


@asks_database
def delete_counters(wanted: Iterable[Keys]) -> int:
    """How many there were."""
    return current_state().counters.delete_many(_any_of(wanted)).deleted_count


def _taking(unit: Unit, moment: float) -> UpdateOne:
    latest = moment + unit.rate.reach_seconds
    # Later than any attempt can have moved it: the clock was set back, or the rate was another one.
    beyond = moment + unit.rate.refill_seconds + _SLACK_SECONDS
    start = {"$cond": [{"$gt": ["$tat", beyond]}, moment, {"$max": [{"$ifNull": ["$tat", moment]}, moment]}]}
    expiry = datetime.fromtimestamp(beyond, UTC)
    return UpdateOne(
        # With $or the embedded database would read the whole collection.
        {"_id": unit.key, "tat": {"$not": {"$gt": latest, "$lte": beyond}}},
        [{"$set": {"tat": {"$add": [start, unit.rate.unit_seconds]}, "expireAt": expiry}}],
        upsert=True,
    )


@asks_database
def _wait_seconds(unit: Unit, moment: float) -> float:
    counter = current_state().counters.find_one({"_id": unit.key}, {"tat": 1})
    return counter["tat"] - moment - unit.rate.reach_seconds if counter else 0.0


def _any_of(wanted: Iterable[Keys]) -> dict[str, Any]:
    """An end makes the database compare every key with that start, so it is for operators alone."""
    return {"$or": [_of_keys(keys) for keys in wanted]}


def _of_keys(keys: Keys) -> dict[str, Any]:
    started = {"$gte": keys.start, "$lt": keys.start + "~"}
    return {"_id": {**started, "$regex": f"{re.escape(keys.end)}$"} if keys.end else started}
