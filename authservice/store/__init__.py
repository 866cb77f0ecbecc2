"""The only home of MongoDB: one atomic operation a function, and no rules in here."""

import functools
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import pymongo
from flask import Flask, g, has_request_context
from pymongo.errors import ConnectionFailure, PyMongoError

from authservice import metrics
from authservice.config import ConfigurationError
from authservice.errors import DatabaseUnavailable
from authservice.extensions import mongo

P = ParamSpec("P")
T = TypeVar("T")

# Guards ask together, so more would not help: at 64 clients 3,521 guarded requests/s, 3,487 with the driver's 100.
CONNECTIONS_PER_WORKER = 8

log = logging.getLogger(__name__)


def connect(app: Flask) -> None:
    """Bind the client; nothing is sent until the first request. What the URI itself says wins, but for times and texts.

    Raises ConfigurationError for a URI that the driver does not take.
    """
    try:
        _bind(app, app.config["MONGO_URI"])
    except (PyMongoError, ValueError, OSError) as error:  # its text may hold a piece of the URI's password
        raise ConfigurationError(
            [
                f"FLASK_MONGO_URI is refused by the driver ({type(error).__name__}): percent-encode its user name and "
                "password, and check its hosts, ports and options"
            ]
        ) from None


def _bind(app: Flask, uri: str) -> None:
    said = _options_of(uri)
    wanted = {
        "timeoutMS": app.config["MONGO_TIMEOUT_MS"],
        "maxPoolSize": CONNECTIONS_PER_WORKER,
        "w": "majority",
        "journal": True,
        "appname": "authservice",
    }
    ours = {
        "tz_aware": True,
        # What another stack wrote is no exception, which would befall all who are read together: times beyond Python's,
        # as JavaScript has them, and bytes that are no UTF-8.
        "datetime_conversion": "DATETIME_AUTO",
        "unicode_decode_error_handler": "replace",
    }
    mongo.init_app(app, uri, **{name: value for name, value in wanted.items() if name.lower() not in said}, **ours)
    assert mongo.cx is not None
    options = mongo.cx.options
    global _breaker, _turns
    _breaker, _turns = _Breaker(), _Turns(options.pool_options.max_pool_size, (options.timeout or 0) / 2)


class _Breaker:
    """Spares requests the wait for a database that did not answer the last one.

    Else each would hold a connection for MONGO_TIMEOUT_MS, and what needs no database would wait behind them. After a
    failure that took long one caller at a time asks, after a pause; the rest are refused at once until one succeeds.
    Those who come together with the one that asks wait a moment for what it finds: else a worker that nobody asked
    while the database came back would refuse them for nothing.
    """

    _LONG_SECONDS = 0.5
    _PAUSE_SECONDS = 0.25
    _MOMENT_SECONDS = 0.1

    def __init__(self) -> None:
        self._verdict = threading.Condition()
        self._retry_at: float | None = None  # None while the database answers
        self._asked_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._retry_at is not None

    def require_hope(self) -> None:
        """Raises DatabaseUnavailable."""
        if self._retry_at is None:
            return
        with self._verdict:
            moment = time.monotonic()
            if self._retry_at is not None and moment >= self._retry_at:
                self._retry_at, self._asked_at = math.inf, moment  # this caller tries for all
                return
            if self._retry_at == math.inf:
                rest_of_moment = self._asked_at + self._MOMENT_SECONDS - moment
                self._verdict.wait_for(lambda: self._retry_at != math.inf, rest_of_moment)
            if self._retry_at is not None:
                raise DatabaseUnavailable

    def record(self, *, answered: bool, seconds: float) -> None:
        if self._retry_at is None and (answered or seconds < self._LONG_SECONDS):
            return
        with self._verdict:
            self._retry_at = None if answered else time.monotonic() + self._PAUSE_SECONDS
            self._verdict.notify_all()


class _Turns:
    """As many callers at once as there are connections.

    Who waited for one inside the driver would spend the operation's own time: with more callers than a slow database
    serves, each would get his connection too late, and give it up in the middle.
    """

    def __init__(self, connections: float | None, patience_seconds: float) -> None:
        self._free = threading.BoundedSemaphore(int(min(connections or 1_000, 1_000)))  # 0 says no limit
        self._patience_seconds = patience_seconds or None  # of a request, all its operations together

    def left_seconds(self, spent: "_Spent") -> float | None:
        """How long a request may still wait; None says for ever."""
        if self._patience_seconds is None:
            return None
        return max(self._patience_seconds - spent.waiting_seconds, 0)

    def take(self, spent: "_Spent") -> None:
        """Raises DatabaseUnavailable."""
        if self._free.acquire(blocking=False):
            return
        started = time.monotonic()
        is_taken = self._free.acquire(timeout=self.left_seconds(spent))
        spent.waiting_seconds += time.monotonic() - started
        if not is_taken:
            raise DatabaseUnavailable

    def give_back(self) -> None:
        self._free.release()


_breaker, _turns = _Breaker(), _Turns(CONNECTIONS_PER_WORKER, 0)


def asks_database(function: Callable[P, T]) -> Callable[P, T]:
    """Turn every failure of the database into DatabaseUnavailable: when it cannot be asked, the answer is no."""
    seconds = metrics.database_seconds.labels(function.__name__)

    @functools.wraps(function)
    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        spent = _spent()
        patience = _rest_of_patience(spent)
        turns = _turns
        turns.take(spent)
        try:
            _breaker.require_hope()
            started = time.perf_counter()
            answered = True
            try:
                with patience:
                    return function(*args, **kwargs)
            except PyMongoError as error:
                answered = not (error.timeout or isinstance(error, ConnectionFailure))
                # Its class and code alone: the text may hold an e-mail or the URI's password.
                log.error(
                    "database_error",
                    extra={"operation": function.__name__, "error": type(error).__name__, "errorCode": _code(error)},
                )
                raise DatabaseUnavailable from None
            finally:
                taken = time.perf_counter() - started
                _breaker.record(answered=answered, seconds=taken)
                seconds.observe(taken)
                spent.seconds += taken
        finally:
            turns.give_back()

    return ask


def spend(seconds: float) -> None:
    """Count an answer that another request has asked for as if this one had."""
    _spent().seconds += seconds


def spend_waiting(seconds: float) -> float | None:
    """Count a wait for a connection that another request did not get; the seconds that are left, None for ever.

    Raises DatabaseUnavailable when this one is to wait no longer.
    """
    spent = _spent()
    spent.waiting_seconds += seconds
    left = _turns.left_seconds(spent)
    if _breaker.is_open or left == 0:
        raise DatabaseUnavailable
    return left


@dataclass(slots=True)
class _Spent:
    """What the database has taken of a request's time, and the waiting for a connection."""

    seconds: float = 0.0
    waiting_seconds: float = 0.0


_NO_LIMIT: AbstractContextManager[None] = nullcontext()


def _spent() -> _Spent:
    """Outside of a request nothing adds up: the command line asks for page after page, and has no such limit."""
    if not has_request_context():
        return _Spent()
    found: _Spent | None = g.get("database_time")
    if found is None:
        found = g.database_time = _Spent()
    return found


def _rest_of_patience(spent: _Spent) -> AbstractContextManager[None]:
    """MONGO_TIMEOUT_MS is for all operations of a request together: three that only just end make no answer in time.

    What they waited for their turns, half of that at the most, does not count, nor what a password takes between them.
    The first operation has the client's own time-out.
    Raises DatabaseUnavailable when nothing is left.
    """
    if not spent.seconds:
        return _NO_LIMIT
    assert mongo.cx is not None
    if not mongo.cx.options.timeout:
        return _NO_LIMIT
    left = mongo.cx.options.timeout - spent.seconds
    if left <= 0:
        raise DatabaseUnavailable
    return pymongo.timeout(left)


@asks_database
def ping() -> None:
    """Raises DatabaseUnavailable when no answer comes within MONGO_TIMEOUT_MS."""
    assert mongo.cx is not None
    mongo.cx.admin.command("ping")


def _options_of(uri: str) -> set[str]:
    """The names of the options that a URI spells out, in lower case: the driver does not care for it."""
    _, _, query = uri.partition("?")
    return {pair.partition("=")[0].lower() for pair in query.replace(";", "&").split("&")}


def _code(error: PyMongoError) -> Any:
    return getattr(error, "code", None)
