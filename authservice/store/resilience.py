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
    """How much of a request's time the database may use.

    The client's timeout applies to all operations of a request together, and to their waits for a connection: three
    operations that each almost time out would make the answer too late. At most half of it is for waiting. Hashing does
    not count. The driver may take half a second more: it looks for a server in steps of that length.
    """

    __slots__ = ("_is_first_timed", "_timeout_seconds", "query_seconds", "wait_seconds")

    def __init__(self, timeout_seconds: float | None, *, is_first_timed: bool) -> None:
        self._timeout_seconds = timeout_seconds
        self._is_first_timed = is_first_timed
        self.query_seconds = 0.0
        self.wait_seconds = 0.0

    def wait_seconds_left(self) -> float | None:
        """None means no limit."""
        if self._timeout_seconds is None:
            return None
        return max(self._timeout_seconds / 2 - self.wait_seconds, 0)

    def deadline(self) -> AbstractContextManager[None]:
        """The deadline of the next operation. The first one may use the client's own timeout, if it is one command.

        Raises DatabaseUnavailable if no time is left.
        """
        spent = self.query_seconds + self.wait_seconds
        if self._timeout_seconds is None or (self._is_first_timed and not spent):
            return _NO_DEADLINE
        left = self._timeout_seconds - spent
        if left <= 0:
            raise DatabaseUnavailable
        return pymongo.timeout(left)


class CircuitBreaker:
    """Refuses requests at once while the database does not answer.

    Otherwise each request would hold a connection for MONGO_TIMEOUT_MS. After a slow failure the breaker is open: one
    caller at a time tries, after a pause, and the others are refused until one succeeds. Callers that arrive during a
    try wait a moment for its result. Otherwise a worker that was idle while the database came back would refuse its
    first requests for no reason.
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
        """Raises DatabaseUnavailable while the breaker is open."""
        if self._retry_at is None:
            return
        with self._result:
            moment = time.monotonic()
            if self._retry_at is not None and moment >= self._retry_at:
                self._retry_at, self._asked_at = math.inf, moment  # this caller tries on behalf of all
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

    Inside the driver, waiting for a connection counts against the operation's own timeout. If a slow database has more
    callers than it can serve, each would get its connection too late and give up halfway.
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
    """The breaker, the bulkhead and the timeout of one client."""

    breaker: CircuitBreaker
    bulkhead: Bulkhead
    timeout_seconds: float | None
    is_client_timed: bool

    @classmethod
    def of(cls, client: MongoClient[dict[str, Any]], default_timeout_seconds: float) -> "Resilience":
        """A client from the embedding app may have no timeout; a timeout of 0 means that it wants none."""
        own, pool_size = client.options.timeout, client.options.pool_options.max_pool_size
        timeout_seconds = default_timeout_seconds if own is None else own or None
        return cls(CircuitBreaker(), Bulkhead(pool_size), timeout_seconds, is_client_timed=own is not None)

    def budget(self) -> TimeBudget:
        """The budget of this request. Outside a request there is none to share: a command may read many pages."""
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
    """Guard a function that uses the database: every failure of the database becomes DatabaseUnavailable."""
    seconds = metrics.database_seconds.labels(function.__name__)

    @functools.wraps(function)
    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        resilience = current_state().resilience
        budget = resilience.budget()
        resilience.bulkhead.acquire(budget)
        try:
            deadline = budget.deadline()
            resilience.breaker.check()
            started = time.perf_counter()
            answered = True
            try:
                with deadline:
                    return function(*args, **kwargs)
            except PyMongoError as error:
                answered = not (error.timeout or isinstance(error, ConnectionFailure))
                # Only its class and code: the text may contain an e-mail or the URI's password.
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
    """Count a query that another request sent and whose result this request shares."""
    current_state().resilience.budget().query_seconds += seconds


def charge_wait(seconds: float) -> float | None:
    """Count a wait for a connection that another request did not get. Returns the seconds left, None for no limit.

    Raises DatabaseUnavailable if this request may not wait any longer.
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
