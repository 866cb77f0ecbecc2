"""Passwords: hash and check them, behind a gate that keeps hashing from starving everything else."""

import base64
import hmac
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import gevent.threadpool
from flask import Flask
from flask_bcrypt import Bcrypt
from gevent import monkey

from authservice import metrics
from authservice.errors import HashingBusy
from authservice.state import current_state

BCRYPT_BYTES = 72  # bcrypt reads no more
# The key is not secret. It makes the digest differ from every other SHA-384, so that hashes leaked from elsewhere
# cannot be tried here instead of the password ("password shucking").
_PREHASH_KEY = b"authservice: a password of more than 72 bytes"
# Cost 4 to 14: a stored hash of cost 31 would hold a core for days.
_WELL_FORMED = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
HASHING_NICENESS = 10  # docs/decisions/0020-hashing-niceness.md

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """The result of checking a password. ``renewed_hash`` replaces the stored hash."""

    matches: bool
    renewed_hash: str | None = None


class HashingGate:
    """Lets BCRYPT_CONCURRENCY hashes run in this process and BCRYPT_QUEUE wait; refuses the rest at once.

    A limit on the number of waiters, not on their time, keeps the other routes fast in a sign-in storm.
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self._lock = threading.Lock()
        self._free_places = concurrency + queue
        # Real threads, even if gunicorn_conf.py has turned all others into greenlets: a greenlet that hashes would stop
        # them all. The threads start with the first password, so a fork before that loses nothing.
        is_patched = monkey.is_module_patched("threading")
        self._threads = (gevent.threadpool.ThreadPoolExecutor if is_patched else ThreadPoolExecutor)(concurrency)

    def check_capacity(self) -> None:
        """Raises HashingBusy if the queue is full."""
        if self._free_places <= 0:
            metrics.hashing_refused.inc()
            raise HashingBusy

    def run(self, hashing: Callable[[], T]) -> T:
        """Raises HashingBusy if the queue is full."""
        with self._lock:
            self.check_capacity()
            self._free_places -= 1
        metrics.hashing_depth.inc()
        try:
            return self._threads.submit(_give_way_and, hashing).result()
        finally:
            metrics.hashing_depth.dec()
            with self._lock:
                self._free_places += 1


@dataclass(frozen=True, slots=True)
class PasswordHasher:
    """How an application hashes: flask-bcrypt, BCRYPT_LOG_ROUNDS, and the gate in front."""

    bcrypt: Bcrypt
    cost: int
    gate: HashingGate


def init_app(app: Flask, settings: Mapping[str, Any]) -> PasswordHasher:
    """Bind flask-bcrypt; the options that would change every hash are fixed here."""
    app.config.update(BCRYPT_HANDLE_LONG_PASSWORDS=False, BCRYPT_HASH_PREFIX="2b")
    gate = HashingGate(settings["BCRYPT_CONCURRENCY"], settings["BCRYPT_QUEUE"])
    return PasswordHasher(Bcrypt(app), settings["BCRYPT_LOG_ROUNDS"], gate)


def check_capacity() -> None:
    """Check early, to save work that would be wasted. Hashing itself decides. Raises HashingBusy."""
    current_state().hasher.gate.check_capacity()


def hash_password(password: str) -> str:
    """The bcrypt hash to store. Raises HashingBusy."""
    hasher = current_state().hasher  # the hashing thread has no application context
    return hasher.gate.run(lambda: _hash(hasher, password))


def check_password(password: str, stored_hash: object, *, is_legacy: bool, renew: bool) -> Check:
    """Compare in constant time: the time does not tell whether a hash exists, or its cost.

    ``stored_hash`` is what the user's document holds, well-formed or not; None if there is no user.
    ``is_legacy`` says that another stack wrote the hash: Node's bcrypt cuts passwords at 72 bytes, so only that much is
    compared. ``renew`` asks for a new hash if the password matches and the stored hash is legacy or cheaper than
    BCRYPT_LOG_ROUNDS.
    Raises HashingBusy.
    """
    hasher = current_state().hasher
    return hasher.gate.run(lambda: _check(hasher, password, stored_hash, is_legacy, renew))


def _check(hasher: PasswordHasher, password: str, stored_hash: object, is_legacy: bool, renew: bool) -> Check:
    if not isinstance(stored_hash, str) or not _WELL_FORMED.fullmatch(stored_hash):
        _harden_runtime(hasher, password, hasher.cost, hasher.cost + 1)
        return Check(matches=False)
    stored_cost = int(stored_hash[4:6])
    attempt = password.encode()[:BCRYPT_BYTES] if is_legacy else _prehash(password)
    try:
        matches = bool(hasher.bcrypt.check_password_hash(stored_hash, attempt))
    except ValueError:  # the salt only looks valid; nothing was hashed
        _harden_runtime(hasher, password, hasher.cost, hasher.cost + 1)
        return Check(matches=False)
    # 2^c plus 2^c + ... + 2^(C-1) is 2^C: a legacy user with a cheaper hash does not get a faster answer.
    _harden_runtime(hasher, password, stored_cost, hasher.cost)
    if matches and renew and (is_legacy or stored_cost < hasher.cost):
        return Check(matches, _hash(hasher, password))
    return Check(matches)


def _hash(hasher: PasswordHasher, password: str) -> str:
    hashed: bytes = hasher.bcrypt.generate_password_hash(_prehash(password), hasher.cost)
    return hashed.decode("ascii")


def _prehash(password: str) -> bytes:
    """The input of bcrypt: the password itself up to 72 bytes, as in Node's bcrypt; a keyed digest of a longer one."""
    whole = password.encode()
    if len(whole) <= BCRYPT_BYTES:
        return whole
    return base64.b64encode(hmac.digest(_PREHASH_KEY, whole, "sha384"))


def _harden_runtime(hasher: PasswordHasher, password: str, lowest_cost: int, highest_cost: int) -> None:
    """Take the time of a full check: hash against a decoy at each cost from lowest to highest, exclusive."""
    for cost in range(lowest_cost, highest_cost):
        hasher.bcrypt.check_password_hash(f"$2b${cost:02}${'.' * 53}", password.encode()[:BCRYPT_BYTES])


def _give_way_and(hashing: Callable[[], T]) -> T:
    """Lower the thread's priority, so that answering requests comes first. Only Linux has a priority per thread.

    Repeated before each hash, because gevent's thread pool has no initializer.
    """
    if sys.platform == "linux":
        # Relative to the niceness of the service: an unprivileged thread may only raise its niceness.
        niceness = min(os.getpriority(os.PRIO_PROCESS, os.getpid()) + HASHING_NICENESS, 19)
        with suppress(OSError):  # a sandbox may forbid it; hashing works without it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    return hashing()
