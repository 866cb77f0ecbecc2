"""Resilience to a database that is slow or away: a circuit breaker, a bulkhead, and a time budget for each request."""

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
from flask import g, has_request_context
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, PyMongoError

from authservice import metrics
from authservice.errors import DatabaseUnavailable
from authservice.state import current_state

P = ParamSpec("P")
T = TypeVar("T")

_NO_DEADLINE: AbstractContextManager[None] = nullcontext()
_UNLIMITED = 1_000  # connections, where maxPoolSize says 0

log = logging.getLogger(__name__)


class TimeBudget:
    """What the database may take of one request's time.

    The time-out of the client is for all operations of a request together: three that only just succeed would make no
    answer in time. Waiting for a connection may take half of that on top. Hashing between them does not count.
    """

    __slots__ = ("_is_first_timed", "_timeout_seconds", "query_seconds", "wait_seconds")

    def __init__(self, timeout_seconds: float | None, *, is_first_timed: bool) -> None:
        self._timeout_seconds = timeout_seconds
        self._is_first_timed = is_first_timed
        self.query_seconds = 0.0
        self.wait_seconds = 0.0

    def wait_seconds_left(self) -> float | None:
        """None means without limit."""
        if self._timeout_seconds is None:
            return None
        return max(self._timeout_seconds / 2 - self.wait_seconds, 0)

    def deadline(self) -> AbstractContextManager[None]:
        """For the next operation; the first one may have a time-out of the client's own.

        Raises DatabaseUnavailable when nothing is left.
        """
        if self._timeout_seconds is None or (self._is_first_timed and not self.query_seconds):
            return _NO_DEADLINE
        left = self._timeout_seconds - self.query_seconds
        if left <= 0:
            raise DatabaseUnavailable
        return pymongo.timeout(left)


class CircuitBreaker:
    """Spares requests the wait for a database that did not answer the last one.

    Otherwise each would hold a connection for MONGO_TIMEOUT_MS, and routes that need no database would wait behind
    them. After a slow failure one caller at a time asks, after a pause; the others are refused at once until one
    succeeds. Callers that arrive together with the one that asks wait a moment for its result: otherwise a worker that
    got no requests while the database came back would refuse them for nothing.
    """

    _SLOW_SECONDS = 0.5
    _PAUSE_SECONDS = 0.25
    _MOMENT_SECONDS = 0.1

    def __init__(self) -> None:
        self._result = threading.Condition()
        self._retry_at: float | None = None  # None while the database answers
        self._asked_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._retry_at is not None

    def check(self) -> None:
        """Raises DatabaseUnavailable while it is open."""
        if self._retry_at is None:
            return
        with self._result:
            moment = time.monotonic()
            if self._retry_at is not None and moment >= self._retry_at:
                self._retry_at, self._asked_at = math.inf, moment  # this caller tries for all
                return
            if self._retry_at == math.inf:
                rest_of_moment = self._asked_at + self._MOMENT_SECONDS - moment
                self._result.wait_for(lambda: self._retry_at != math.inf, rest_of_moment)
            if self._retry_at is not None:
                raise DatabaseUnavailable

    def record(self, *, answered: bool, seconds: float) -> None:
        if self._retry_at is None and (answered or seconds < self._SLOW_SECONDS):
            return
        with self._result:
            self._retry_at = None if answered else time.monotonic() + self._PAUSE_SECONDS
            self._result.notify_all()


class Bulkhead:
    """Lets as many callers through as there are connections.

    Inside the driver, the wait for a connection would count against the operation's own time: with more callers than a
    slow database serves, each would get its connection too late and give up half-way.
    """

    def __init__(self, connections: float | None) -> None:
        self._free = threading.BoundedSemaphore(int(min(connections or _UNLIMITED, _UNLIMITED)))

    def acquire(self, budget: TimeBudget) -> None:
        """Raises DatabaseUnavailable."""
        if self._free.acquire(blocking=False):
            return
        started = time.monotonic()
        is_acquired = self._free.acquire(timeout=budget.wait_seconds_left())
        budget.wait_seconds += time.monotonic() - started
        if not is_acquired:
            raise DatabaseUnavailable

    def release(self) -> None:
        self._free.release()


@dataclass(frozen=True, slots=True)
class Resilience:
    """What guards one client."""

    breaker: CircuitBreaker
    bulkhead: Bulkhead
    timeout_seconds: float | None
    is_client_timed: bool

    @classmethod
    def of(cls, client: MongoClient[dict[str, Any]], default_timeout_seconds: float) -> "Resilience":
        """A client that was handed to us may have no time-out at all; one of 0 says that it wants none."""
        own, pool_size = client.options.timeout, client.options.pool_options.max_pool_size
        timeout_seconds = default_timeout_seconds if own is None else own or None
        return cls(CircuitBreaker(), Bulkhead(pool_size), timeout_seconds, is_client_timed=own is not None)

    def budget(self) -> TimeBudget:
        """The request's. Outside of requests nothing adds up: the command line asks page after page, without limit."""
        if not has_request_context():
            return TimeBudget(self.timeout_seconds, is_first_timed=self.is_client_timed)
        context = g._get_current_object()
        found: TimeBudget | None = context.get("authservice_time_budget")
        if found is None:
            found = context.authservice_time_budget = TimeBudget(
                self.timeout_seconds, is_first_timed=self.is_client_timed
            )
        return found


def asks_database(function: Callable[P, T]) -> Callable[P, T]:
    """Turn every failure of the database into DatabaseUnavailable: when it cannot be asked, the answer is no."""
    seconds = metrics.database_seconds.labels(function.__name__)

    @functools.wraps(function)
    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        resilience = current_state().resilience
        budget = resilience.budget()
        deadline = budget.deadline()
        resilience.bulkhead.acquire(budget)
        try:
            resilience.breaker.check()
            started = time.perf_counter()
            answered = True
            try:
                with deadline:
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
                resilience.breaker.record(answered=answered, seconds=taken)
                seconds.observe(taken)
                budget.query_seconds += taken
        finally:
            resilience.bulkhead.release()

    return ask


def charge_query(seconds: float) -> None:
    """Count a query that another request sent, and whose result this one shares."""
    current_state().resilience.budget().query_seconds += seconds


def charge_wait(seconds: float) -> float | None:
    """Count a wait for a connection that another request did not get; the seconds left, None without limit.

    Raises DatabaseUnavailable when this one may not wait longer.
    """
    resilience = current_state().resilience
    budget = resilience.budget()
    budget.wait_seconds += seconds
    left = budget.wait_seconds_left()
    if resilience.breaker.is_open or left == 0:
        raise DatabaseUnavailable
    return left


def _code(error: PyMongoError) -> Any:
    return getattr(error, "code", None)
