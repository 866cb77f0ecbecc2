"""Passwords: hash, check, decoy, and the gate that keeps hashing from starving everything else."""

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
# The key is not secret. It keeps the digest apart from every other SHA-384 in the world, so that hashes leaked
# elsewhere cannot be tried here in place of the password ("password shucking").
_PREHASH_KEY = b"authservice: a password of more than 72 bytes"
# Cost 4 to 14: a stored hash of cost 31 would hold a core for days.
_WELL_FORMED = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
# Medians of three turns on two cores, 64 clients who sign in at cost 12 and two who ask a guarded route without a
# pause: p99 of the guarded route and sign-ins/s were at 0 21 ms and 5.5, at 5 10 ms and 3.5, at 10 11 ms and 3.1, at 15
# 13 ms and 3.2, at 19 15 ms and 3.2. From 5 on it is the same within the noise.
HASHING_NICENESS = 10


T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """What checking a password found; ``renewed_hash`` is to be stored in place of the hash that was checked."""

    matches: bool
    renewed_hash: str | None = None


class HashingGate:
    """Lets BCRYPT_CONCURRENCY hashes run in this process and BCRYPT_QUEUE wait; the rest are refused at once.

    Bounding the number of waiters, not their time, is what keeps the other routes fast in a sign-in storm.
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self._lock = threading.Lock()
        self._free_places = concurrency + queue
        # Real ones, also where gunicorn_conf.py has made greenlets of all others: one that hashed would stop them all.
        # They start with the first password: nothing is lost when the process forks before that.
        is_patched = monkey.is_module_patched("threading")
        self._threads = (gevent.threadpool.ThreadPoolExecutor if is_patched else ThreadPoolExecutor)(concurrency)

    def check_capacity(self) -> None:
        """Raises HashingBusy when nobody else may wait."""
        if self._free_places <= 0:
            metrics.hashing_refused.inc()
            raise HashingBusy

    def run(self, hashing: Callable[[], T]) -> T:
        """Raises HashingBusy when nobody else may wait."""
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
    """How an application hashes: flask-bcrypt, BCRYPT_LOG_ROUNDS, and the gate before them."""

    bcrypt: Bcrypt
    cost: int
    gate: HashingGate


def init_app(app: Flask, settings: Mapping[str, Any]) -> PasswordHasher:
    """Bind flask-bcrypt; the options that would change every hash are fixed here."""
    app.config.update(BCRYPT_HANDLE_LONG_PASSWORDS=False, BCRYPT_HASH_PREFIX="2b")
    gate = HashingGate(settings["BCRYPT_CONCURRENCY"], settings["BCRYPT_QUEUE"])
    return PasswordHasher(Bcrypt(app), settings["BCRYPT_LOG_ROUNDS"], gate)


def check_capacity() -> None:
    """Look before any other work is done for nothing; hashing has the last word. Raises HashingBusy."""
    current_state().hasher.gate.check_capacity()


def hash_password(password: str) -> str:
    """The bcrypt hash to store. Raises HashingBusy."""
    hasher = current_state().hasher  # the thread that hashes knows no application
    return hasher.gate.run(lambda: _hash(hasher, password))


def check_password(password: str, stored_hash: object, *, is_legacy: bool, renew: bool) -> Check:
    """Compare, in a time that tells nothing: neither whether there is a hash nor what it cost.

    ``stored_hash`` is what the user's document holds, well-formed or not; None where there is no user.
    ``is_legacy`` says that another stack wrote it: Node's bcrypt cut passwords at 72 bytes, so it is compared with
    that much. ``renew`` asks for a new hash where a matching one is legacy or cheaper than BCRYPT_LOG_ROUNDS.
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
    except ValueError:  # the salt is none, though it looks like one; nothing was hashed
        _harden_runtime(hasher, password, hasher.cost, hasher.cost + 1)
        return Check(matches=False)
    # 2^c and then 2^c + ... + 2^(C-1) make 2^C: a user of another stack, with a cheaper hash, is answered no sooner.
    _harden_runtime(hasher, password, stored_cost, hasher.cost)
    if matches and renew and (is_legacy or stored_cost < hasher.cost):
        return Check(matches, _hash(hasher, password))
    return Check(matches)


def _hash(hasher: PasswordHasher, password: str) -> str:
    hashed: bytes = hasher.bcrypt.generate_password_hash(_prehash(password), hasher.cost)
    return hashed.decode("ascii")


def _prehash(password: str) -> bytes:
    """bcrypt's input: the password itself up to 72 bytes, as Node's bcrypt has it; beyond them a keyed digest."""
    whole = password.encode()
    if len(whole) <= BCRYPT_BYTES:
        return whole
    return base64.b64encode(hmac.digest(_PREHASH_KEY, whole, "sha384"))


def _harden_runtime(hasher: PasswordHasher, password: str, lowest_cost: int, highest_cost: int) -> None:
    """Make up for the time of a full check: hash against a decoy at every cost from the lowest up to the highest.

    The highest is not included.
    """
    for cost in range(lowest_cost, highest_cost):
        hasher.bcrypt.check_password_hash(f"$2b${cost:02}${'.' * 53}", password.encode()[:BCRYPT_BYTES])


def _give_way_and(hashing: Callable[[], T]) -> T:
    """Hashing yields the core to whatever answers. Linux alone has a priority per thread.

    Said before each hash: gevent's threads have no initializer.
    """
    if sys.platform == "linux":
        # Beside what the service itself was started with: to come back from a higher niceness nobody is allowed.
        niceness = min(os.getpriority(os.PRIO_PROCESS, os.getpid()) + HASHING_NICENESS, 19)
        with suppress(OSError):  # a sandbox may forbid it, and hashing goes on without
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    return hashing()
