"""Deliver the mails that wait: in each worker, or in a process of its own."""

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

from flask import Flask

from authservice import audit, metrics
from authservice.errors import DatabaseUnavailable
from authservice.mail import kinds, letters, transport
from authservice.mail.letters import Expired, Untrue
from authservice.store import mail_requests, mails
from authservice.store.clock import now
from authservice.store.mail_requests import RequestClaim
from authservice.store.mails import Claim

POLL_SECONDS = 5.0
PAUSE_SECONDS = 300.0  # between tries while a setting is wrong
BACKOFF_SECONDS, BACKOFF_MAX_SECONDS = 15.0, 3_600.0
_AT_ONCE = 8  # a slow mail server must not hold the others up
_MEASURE_SECONDS = 15.0

log = logging.getLogger(__name__)


class Outcome(Enum):
    SENT = "sent"
    ENDED = "ended"  # it was no longer true, or was given up
    LATER = "later"


class Deliverer:
    """Claims, sends, acknowledges. Several may run at once, in this process and in others: each mail has one claim."""

    def __init__(self, app: Flask) -> None:
        for kind in kinds.BY_NAME:  # Prometheus misses the first increase unless a counter starts at 0
            metrics.mails_sent.labels(kind)
            metrics.mails_failed.labels(kind)
        self._app = app
        self._nudged, self._stopped = threading.Event(), threading.Event()
        self._resume_at: float | None = None  # None unless delivery is paused
        self._measured_at = float("-inf")
        self._is_requests_turn = False

    def nudge(self) -> None:
        """Look now. A mail that nobody nudges for is found within POLL_SECONDS."""
        self._nudged.set()

    def stop(self) -> None:
        """Begin nothing more. What is being sent is finished first."""
        self._stopped.set()
        self._nudged.set()

    def run(self) -> None:
        """Deliver until ``stop``."""
        while not self._stopped.is_set():
            try:
                self.deliver_due()
            except DatabaseUnavailable:
                pass  # it is in the log
            except Exception as error:
                log.error("crash", exc_info=audit.without_text(error), extra={"error": type(error).__name__})
            self._nudged.wait(POLL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            self._nudged.clear()

    def deliver_due(self) -> int:
        """Send what is due. Returns how many mails were sent. Raises DatabaseUnavailable."""
        sent = 0
        while not self._stopped.is_set() and self._may_try():
            with self._app.app_context():
                claims = self._claim(1 if self._resume_at is not None else _AT_ONCE)
            outcomes = self._handle_all(claims)
            sent += outcomes.count(Outcome.SENT)
            if not claims or set(outcomes) == {Outcome.LATER}:  # nothing is due, or the mail server is away
                break
        self._measure()
        return sent

    def _may_try(self) -> bool:
        return self._resume_at is None or time.monotonic() >= self._resume_at

    def _claim(self, limit: int) -> list[Claim | RequestClaim]:
        """In turn from both queues: a flood of one must not hold the other up."""
        claims: list[Claim | RequestClaim] = []
        while len(claims) < limit:
            self._is_requests_turn = not self._is_requests_turn
            both: list[Callable[[], Claim | RequestClaim | None]] = [mails.claim_next, mail_requests.claim_next]
            first, second = reversed(both) if self._is_requests_turn else both
            try:
                claim = first() or second()
            except DatabaseUnavailable:
                if not claims:
                    raise
                break  # what is claimed would otherwise wait until its lease ends
            if claim is None:
                break
            claims.append(claim)
        return claims

    def _handle_all(self, claims: list[Claim | RequestClaim]) -> list[Outcome]:
        """All at once. Under gunicorn the threads are greenlets."""
        outcomes: list[Outcome] = []
        threads = [
            threading.Thread(target=lambda claim=claim: outcomes.append(self._handle(claim)), daemon=True)
            for claim in claims
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    def _handle(self, claim: Claim | RequestClaim) -> Outcome:
        with self._app.app_context():
            try:
                return self._send(claim)
            except DatabaseUnavailable:
                return Outcome.LATER  # the lease ends by itself
            except Exception as error:  # such as a template that fails
                log.error("crash", exc_info=audit.without_text(error), extra={"error": type(error).__name__})
                return _back_off(claim)

    def _send(self, claim: Claim | RequestClaim) -> Outcome:
        kind = letters.kind_of(claim)
        try:
            letter = letters.letter_of(claim)
            kind = letter.kind.name
            transport.send(letter.message, letter.to)
        except Expired as reason:
            return _give_up(claim, kind, str(reason))
        except Untrue:  # not logged: a line would tell who asked in vain
            _acknowledge(claim)
            return Outcome.ENDED
        except transport.Refused as refusal:
            self._resume()
            return _give_up(claim, kind, str(refusal))
        except transport.Unavailable as fault:
            log.warning("mail_postponed", extra={"kind": kind, "reason": str(fault), "tries": _tries(claim)})
            return _back_off(claim)
        except transport.Misconfigured as fault:
            self._pause(str(fault))
            _postpone(claim, now(), counts=False)
            return Outcome.LATER
        self._resume()
        _acknowledge(claim)
        metrics.mails_sent.labels(kind).inc()
        return Outcome.SENT

    def _pause(self, reason: str) -> None:
        self._resume_at = time.monotonic() + PAUSE_SECONDS
        metrics.mails_paused.set(1)
        log.error("mail_delivery_paused", extra={"reason": reason})

    def _resume(self) -> None:
        if self._resume_at is not None:
            log.warning("mail_delivery_resumed")
        self._resume_at = None
        metrics.mails_paused.set(0)

    def _measure(self) -> None:
        if time.monotonic() < self._measured_at + _MEASURE_SECONDS:
            return
        self._measured_at = time.monotonic()
        with self._app.app_context():
            counts = [mails.count_waiting(), mail_requests.count_waiting()]
        metrics.mails_waiting.set(sum(number for number, _ in counts))
        oldest = min((at for _, at in counts if at is not None), default=now())
        metrics.mails_oldest.set(max((now() - oldest).total_seconds(), 0))


def backoff(tries: int) -> timedelta:
    """How long to wait after so many tries. By chance more or less, so that not all come back at once."""
    seconds = min(BACKOFF_SECONDS * 2.0 ** min(tries - 1, 20), BACKOFF_MAX_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.0))  # noqa: S311 - no secret


def _back_off(claim: Claim | RequestClaim) -> Outcome:
    _postpone(claim, now() + backoff(_tries(claim)))
    return Outcome.LATER


def _give_up(claim: Claim | RequestClaim, kind: str, reason: str) -> Outcome:
    _acknowledge(claim)
    metrics.mails_failed.labels(kind).inc()
    log.error("mail_given_up", extra={"kind": kind, "reason": reason, "tries": _tries(claim)})
    return Outcome.ENDED


def _tries(claim: Claim | RequestClaim) -> int:
    return claim.request.tries if isinstance(claim, RequestClaim) else claim.mail.tries


def _acknowledge(claim: Claim | RequestClaim) -> None:
    if isinstance(claim, RequestClaim):
        mail_requests.acknowledge(claim)
    else:
        mails.acknowledge(claim)


def _postpone(claim: Claim | RequestClaim, due: datetime, *, counts: bool = True) -> None:
    if isinstance(claim, RequestClaim):
        mail_requests.postpone(claim, due, counts=counts)
    else:
        mails.postpone(claim, due, counts=counts)
