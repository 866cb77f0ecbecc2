"""The indexes of the collection of users: nobody signs up without them, and no lookup by e-mail reads all users."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pymongo
from flask import has_request_context
from pymongo.collation import Collation
from pymongo.errors import OperationFailure

from authservice.errors import DatabaseUnavailable, UsersCollectionUnfit
from authservice.extensions import mongo
from authservice.store import asks_database

ADMIN = "admin"
ANY_CASE = Collation("en", strength=2)
_ANY_CASE_NAME = "email_any_case"
_ADMIN_NAME = f"roles_{ADMIN}"
_SAME_AS_ANY_CASE = {  # the server spells out what we leave to its defaults
    "locale": "en",
    "strength": 2,
    "caseLevel": False,
    "caseFirst": "off",
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
}
_PAUSE_SECONDS = 60.0
_START_SECONDS = 20.0  # less than gunicorn grants a worker before its first sign of life
_DUPLICATE_KEY = 11_000
_CANNOT_CREATE_INDEX = 67  # among others, one across shards that is unique under a collation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """Those that were found. ``any_case`` is None where the index is missing, else whether it is unique."""

    are_unique: bool  # whether an e-mail, spelled the same, can be stored once only
    any_case: bool | None
    has_admins: bool

    @property
    def are_enough(self) -> bool:
        return self.are_unique and self.any_case is not None


class _Indexes:
    """What is known of them behind one client. Building reads the whole collection, so it is not repeated soon."""

    def __init__(self, client: object) -> None:
        self.client = client
        self.found = _Found(are_unique=False, any_case=None, has_admins=False)
        self._fault: UsersCollectionUnfit | None = None
        self._build_at = 0.0
        self._lock = threading.Lock()

    def require(self) -> _Found:
        """Build what is missing. Raises UsersCollectionUnfit, DatabaseUnavailable, PyMongoError."""
        if self.found.are_enough:
            return self.found
        with self._lock:
            if not self.found.are_enough:
                if time.monotonic() < self._build_at:
                    raise UsersCollectionUnfit(self._fault.detail) if self._fault else DatabaseUnavailable
                self._build()
        return self.found

    def have_any_case(self) -> bool:
        """Build what is missing, unless somebody just does or did: a lookup can do without."""
        if self.found.any_case is None and self._lock.acquire(blocking=False):
            try:
                if time.monotonic() >= self._build_at:
                    self._build()
            except UsersCollectionUnfit:
                pass
            finally:
                self._lock.release()
        return self.found.any_case is not None

    def _build(self) -> None:
        self._fault = None
        try:
            self.found, error = _build()
        except OperationFailure:  # such as one that takes longer than it may
            self._build_at = time.monotonic() + _PAUSE_SECONDS
            raise
        if not self.found.are_enough:
            self._fault = _fault(error)
            self._build_at = time.monotonic() + _PAUSE_SECONDS
            log.error("users_collection_unfit", extra={"reason": self._fault.detail, "errorCode": error and error.code})
            raise self._fault
        if not self.found.any_case:
            log.warning("index_not_unique", extra={"index": _ANY_CASE_NAME})


_known = _Indexes(None)


def _indexes() -> _Indexes:
    global _known
    if _known.client is not mongo.cx:
        _known = _Indexes(mongo.cx)
    return _known


@asks_database
def ensure_indexes() -> None:
    """Build what is missing; safe when several workers start at once. Raises UsersCollectionUnfit."""
    _indexes().require()


def require_indexes() -> None:
    """The same, inside of an operation. Raises UsersCollectionUnfit, DatabaseUnavailable, PyMongoError."""
    _indexes().require()


def any_case_is_unique() -> bool:
    return bool(_indexes().found.any_case)


def any_case() -> Collation | None:
    """The collation for a lookup by e-mail; None where its index cannot be had: the lookup would read all users."""
    return ANY_CASE if _indexes().have_any_case() else None


def _build() -> tuple[_Found, OperationFailure | None]:
    """With the error of what could not be built, where one or more could not."""
    if has_request_context():
        return _build_missing()
    assert mongo.cx is not None
    mongo.cx.admin.command("ping")  # soon tells that there is no database
    # Of a big collection an index takes longer than a request may, and so does a look while another worker builds it.
    with pymongo.timeout(_START_SECONDS):
        return _build_missing()


def _build_missing() -> tuple[_Found, OperationFailure | None]:
    found, error = _look(), None
    if not found.are_unique:
        error = _create("email", unique=True)
    if found.any_case is None:
        refused = _create("email", unique=True, name=_ANY_CASE_NAME, collation=ANY_CASE)
        if refused and refused.code in (_DUPLICATE_KEY, _CANNOT_CREATE_INDEX):
            refused = _create("email", name=_ANY_CASE_NAME, collation=ANY_CASE)
        error = error or refused
    # Of ten million users a few are admins; to know whether one is the last must not read the rest.
    if not found.has_admins:  # it is faster with it, and right without
        _create("roles", name=_ADMIN_NAME, partialFilterExpression={"roles": ADMIN})
    return _look(), error


def _create(key: str, **options: Any) -> OperationFailure | None:
    """The error, where the database refuses. Another stack's index of another name or other options may do as well."""
    try:
        mongo.users.create_index(key, **options)
    except OperationFailure as error:
        if error.timeout:
            raise
        return error
    return None


def _look() -> _Found:
    indexes = mongo.users.index_information()
    on_email = [index for index in indexes.values() if index["key"] == [("email", 1)]]
    any_case = [bool(index.get("unique")) for index in on_email if _ignores_case(index)]
    return _Found(
        are_unique=any(index.get("unique") and _holds_every_email(index) for index in on_email),
        any_case=any(any_case) if any_case else None,
        has_admins=_ADMIN_NAME in indexes,
    )


def _holds_every_email(index: Mapping[str, Any]) -> bool:
    """A condition on another field might leave out the account that is to be unique."""
    return {*index.get("partialFilterExpression", {})} <= {"email"}


def _ignores_case(index: Mapping[str, Any]) -> bool:
    """Whether the database uses it for what is asked under ANY_CASE."""
    collation = {name: value for name, value in index.get("collation", {}).items() if name != "version"}
    is_same = {"locale", "strength"} <= collation.keys() and collation.items() <= _SAME_AS_ANY_CASE.items()
    return is_same and "partialFilterExpression" not in index


def _fault(error: OperationFailure | None) -> UsersCollectionUnfit:
    """Why nobody may sign up; who it is about stays untold."""
    if error is None or error.code != _DUPLICATE_KEY:
        code = error.code if error else None
        return UsersCollectionUnfit(f"The database refuses to build the unique index on email: its error {code}.")
    without = mongo.users.find({"email": None}, {"_id": 1}).limit(2)
    if len([*without]) == 2:
        return UsersCollectionUnfit(
            "Several of its documents have no email. If it holds something else than users, name theirs in "
            "FLASK_USERS_COLLECTION."
        )
    return UsersCollectionUnfit("Several of its documents have the same email. Leave it to one of them.")
