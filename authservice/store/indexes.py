"""The indexes of the users collection. Sign-up requires them, and lookups by e-mail use them."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pymongo
from flask import Flask, current_app
from pymongo.collation import Collation
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError

from authservice.errors import DatabaseUnavailable, UsersCollectionUnfit
from authservice.state import current_state
from authservice.store import limits, mail_requests, proofs
from authservice.store.client import ping
from authservice.store.dearest import DearestHashes

ADMIN = "admin"
ANY_CASE = Collation("en", strength=2)
_ANY_CASE_NAME = "email_any_case"
_ADMIN_NAME = f"roles_{ADMIN}"
_MAILS_NAME = "mails_due"
_FORMER_NAME = "former_emails_any_case"
_LEGACY_NAME = "legacy_work"
_SAME_AS_ANY_CASE = {  # the server lists the defaults that we leave out
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
_ON_EVERY_EMAIL: list[dict[str, Any]] = [
    {},
    *({"email": condition} for condition in ({"$exists": True}, {"$type": "string"}, {"$gt": ""}, {"$gte": ""})),
]
_PAUSE_SECONDS = 60.0
_BUILD_SECONDS = 600.0
START_SECONDS = 20.0  # less than the time that gunicorn gives a worker to start
_DUPLICATE_KEY = 11_000
_CANNOT_CREATE_INDEX = 67  # for example a unique index with a collation on a sharded collection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """The existing indexes. ``any_case`` is None if the index is missing, else whether it is unique."""

    are_unique: bool  # whether the same spelling of an e-mail can be stored only once
    any_case: bool | None
    has_admins: bool
    has_legacy_work: bool

    @property
    def are_enough(self) -> bool:
        return self.are_unique and self.any_case is not None


class UserIndexes:
    """What is known about the indexes of one collection.

    A separate thread builds them. On a big collection that takes longer than a request may, and a request that waited
    for it would look as if the database did not answer.
    """

    def __init__(
        self,
        users: Collection[dict[str, Any]],
        dearest: DearestHashes,
        counters: Collection[dict[str, Any]] | None = None,
        *,
        keeps_proofs: bool = False,
        keeps_mail_requests: bool = False,
    ) -> None:
        self._users, self._dearest, self._counters = users, dearest, counters
        self._keeps_proofs, self._keeps_mail_requests = keeps_proofs, keeps_mail_requests
        self.found = _Found(are_unique=False, any_case=None, has_admins=False, has_legacy_work=False)
        self._fault: UsersCollectionUnfit | None = None
        self._build_at = 0.0  # a build reads the whole collection, so the next one waits
        self._builder: threading.Thread | None = None
        self._lock = threading.Lock()

    def require(self, wait_seconds: float) -> None:
        """Build what is missing, and wait at most that long. Raises UsersCollectionUnfit, DatabaseUnavailable."""
        if self.found.are_enough:
            return
        builder, _ = self._build_in_background()
        if builder:
            builder.join(wait_seconds)
        if not self.found.are_enough:
            raise UsersCollectionUnfit(self._fault.detail) if self._fault else DatabaseUnavailable

    def try_any_case(self, wait_seconds: float) -> None:
        """Build what is missing. Only the caller that starts the build waits: a lookup works without it."""
        if self.found.any_case is None:
            builder, is_new = self._build_in_background()
            if builder and is_new:
                builder.join(wait_seconds)

    def _build_in_background(self) -> tuple[threading.Thread | None, bool]:
        """The thread that builds, if there is one, and whether it is new."""
        with self._lock:
            if self._builder is not None and self._builder.is_alive():
                return self._builder, False
            if time.monotonic() < self._build_at:
                return None, False
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
            self._builder = threading.Thread(target=self._build, args=(app,), daemon=True)
            self._builder.start()
            return self._builder, True

    def _build(self, app: Flask) -> None:
        try:
            with app.app_context():
                ping()  # fails fast without a database
            with pymongo.timeout(_BUILD_SECONDS):
                found, error = _build_missing(self._users)
                if found.has_legacy_work:
                    self._dearest.read_first()
                self.found = found
                if self._counters is not None:
                    limits.build_index(self._counters)
                if self._keeps_proofs:
                    proofs.build_index(self._users)
                if self._keeps_mail_requests:
                    mail_requests.build_index(self._users)
                self._fault = None if self.found.are_enough else _fault(self._users, error)
        except DatabaseUnavailable:
            return
        except PyMongoError as failure:
            self._build_at = time.monotonic() + _PAUSE_SECONDS
            log.error("indexes_not_built", extra={"error": type(failure).__name__})
            return
        if self._fault:
            self._build_at = time.monotonic() + _PAUSE_SECONDS
            log.error("users_collection_unfit", extra={"reason": self._fault.detail, "errorCode": error and error.code})
        elif not self.found.any_case:
            log.warning("index_not_unique", extra={"index": _ANY_CASE_NAME})


def ensure_indexes(wait_seconds: float | None = None) -> None:
    """Build what is missing, and wait at most ``wait_seconds``, by default the database's timeout.

    Several workers may call it at once. Do not call it inside an operation, which would hold its connection.
    Raises UsersCollectionUnfit, and DatabaseUnavailable, also while the build is running.
    """
    current_state().indexes.require(_patience_seconds() if wait_seconds is None else wait_seconds)


def are_there() -> bool:
    return current_state().indexes.found.are_enough


def any_case_is_unique() -> bool:
    return bool(current_state().indexes.found.any_case)


def any_case() -> Collation | None:
    """The collation for a lookup by e-mail; None without its index, because the lookup would read all users."""
    known = current_state().indexes
    known.try_any_case(_patience_seconds())
    return ANY_CASE if known.found.any_case is not None else None


def _patience_seconds() -> float:
    return current_state().resilience.timeout_seconds or _BUILD_SECONDS


def _build_missing(users: Collection[dict[str, Any]]) -> tuple[_Found, OperationFailure | None]:
    found, error = look(users), None
    if not found.are_unique:
        error = _create(users, "email", unique=True)
    if found.any_case is None:
        refused = _create(users, "email", unique=True, name=_ANY_CASE_NAME, collation=ANY_CASE)
        if refused and refused.code in (_DUPLICATE_KEY, _CANNOT_CREATE_INDEX):
            refused = _create(users, "email", name=_ANY_CASE_NAME, collation=ANY_CASE)
        error = error or refused
    # Few users are admins. The check for the last admin must not read all users.
    if not found.has_admins:  # the check is correct without it, but slow
        _create(users, "roles", name=_ADMIN_NAME, partialFilterExpression={"roles": ADMIN})
    _create(users, "mails.due", name=_MAILS_NAME, sparse=True)  # few users have a mail that waits
    # Every sign-up asks whether an e-mail is reserved. Few users have changed theirs.
    _create(users, "formerEmails.email", name=_FORMER_NAME, sparse=True, collation=ANY_CASE)
    _create(users, "legacy.work", name=_LEGACY_NAME, sparse=True)  # whose hash another stack made: store/dearest.py
    return look(users), error


def _create(users: Collection[dict[str, Any]], key: str, **options: Any) -> OperationFailure | None:
    """The error, if the database refuses. An index of another stack may still be good enough."""
    try:
        users.create_index(key, **options)
    except OperationFailure as error:
        if error.timeout:
            raise
        return error
    return None


def look(users: Collection[dict[str, Any]]) -> _Found:
    indexes = users.index_information()
    on_email = [index for index in indexes.values() if index["key"] == [("email", 1)]]
    any_case = [bool(index.get("unique")) for index in on_email if _ignores_case(index)]
    return _Found(
        are_unique=any(index.get("unique") and _holds_every_email(index) for index in on_email),
        any_case=any(any_case) if any_case else None,
        has_admins=_ADMIN_NAME in indexes,
        has_legacy_work=_LEGACY_NAME in indexes,
    )


def _holds_every_email(index: Mapping[str, Any]) -> bool:
    """Most partial filters would leave out some account."""
    return index.get("partialFilterExpression", {}) in _ON_EVERY_EMAIL


def _ignores_case(index: Mapping[str, Any]) -> bool:
    """Whether the database can use it for a query with the collation ANY_CASE."""
    collation = {name: value for name, value in index.get("collation", {}).items() if name != "version"}
    is_same = {"locale", "strength"} <= collation.keys() and collation.items() <= _SAME_AS_ANY_CASE.items()
    return is_same and "partialFilterExpression" not in index


def _fault(users: Collection[dict[str, Any]], error: OperationFailure | None) -> UsersCollectionUnfit:
    """Why nobody can sign up. It names no user."""
    if error is None or error.code != _DUPLICATE_KEY:
        code = error.code if error else None
        return UsersCollectionUnfit(f"The database refuses to build the unique index on email: its error {code}.")
    without = users.find({"email": None}, {"_id": 1}).limit(2)
    if len([*without]) == 2:
        return UsersCollectionUnfit(
            "Several of its documents have no email. If it does not hold users, name the right collection in "
            "FLASK_USERS_COLLECTION."
        )
    return UsersCollectionUnfit("Several of its documents have the same email. Leave it in only one of them.")
