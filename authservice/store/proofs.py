"""Used proofs of work: { _id, attempt, expireAt }, one document for each challenge that was solved."""

import logging
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from authservice.state import current_state
from authservice.store.resilience import asks_database

NAME = "used_proofs"
_SLACK = timedelta(hours=1)  # a proof that is forgotten before its challenge expires could be used again

log = logging.getLogger(__name__)


def build_index(users: Collection[dict[str, Any]]) -> None:
    """Let the database delete old proofs. Without the index each is good for one use too, but nothing is deleted."""
    try:
        _beside(users).create_index("expireAt", expireAfterSeconds=0)
    except PyMongoError as error:
        log.error("indexes_not_built", extra={"error": type(error).__name__})


@asks_database
def use_proof(proof_id: str, expires_at: datetime) -> bool:
    """Remember that the proof is used; False if it was already."""
    attempt, used = ObjectId(), _beside(current_state().users)
    try:
        used.insert_one({"_id": proof_id, "attempt": attempt, "expireAt": expires_at + _SLACK})
    except DuplicateKeyError:
        # The driver repeats an insert whose answer was lost. Then it finds its own document.
        return used.find_one({"_id": proof_id, "attempt": attempt}, {"_id": 1}) is not None
    return True


def _beside(users: Collection[dict[str, Any]]) -> Collection[dict[str, Any]]:
    return users.database.get_collection(NAME, write_concern=users.write_concern, read_preference=users.read_preference)
