"""Passwords: hash and check them, behind a gate that keeps hashing from starving everything else."""

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask
from flask_bcrypt import Bcrypt

from authservice.security import legacy
from authservice.security.clients import client_of
from authservice.security.equal_time import EqualTime, rounds_of
from authservice.security.hashing_gate import HashingGate, Place
from authservice.security.legacy import bcrypts
from authservice.state import current_state

# The key is not secret. It makes the digest differ from every other SHA-384, so that hashes leaked from elsewhere
# cannot be tried here instead of the password ("password shucking").
_PREHASH_KEY = b"authservice: a password of more than 72 bytes"


@dataclass(frozen=True)
class Check:
    """The result of checking a password. ``renewed_hash`` replaces the stored hash."""

    matches: bool
    renewed_hash: str | None = None


@dataclass(frozen=True, slots=True)
class PasswordHasher:
    """How an application hashes: flask-bcrypt, BCRYPT_LOG_ROUNDS, the gate in front, and what a refusal costs.

    ``dearest_stored`` returns the dearest hashes of other stacks that the collection holds.
    """

    bcrypt: Bcrypt
    cost: int
    gate: HashingGate
    equal_time: EqualTime
    dearest_stored: Callable[[], Sequence[object]]


def init_app(app: Flask, settings: Mapping[str, Any], dearest_stored: Callable[[], Sequence[object]]) -> PasswordHasher:
    """Bind flask-bcrypt; the options that would change every hash are fixed here."""
    app.config.update(BCRYPT_HANDLE_LONG_PASSWORDS=False, BCRYPT_HASH_PREFIX="2b")
    bcrypt, cost = Bcrypt(app), settings["BCRYPT_LOG_ROUNDS"]
    gate = HashingGate(settings["BCRYPT_CONCURRENCY"], settings["BCRYPT_QUEUE"])
    equal_time = EqualTime(cost, legacy.keys_of(settings), lambda cost: _run_decoy(bcrypt, b"", cost))
    return PasswordHasher(bcrypt, cost, gate, equal_time, dearest_stored)


@contextmanager
def enter(ip: str | None, *, shows_device: bool = False) -> Iterator[Place]:
    """A place in the gate, for as long as the block lasts. Raises HashingBusy."""
    with current_state().hasher.gate.enter(client_of(ip), shows_device=shows_device) as place:
        yield place


def check_device(place: Place, account: str | None) -> None:
    """Say whose device the request shows, once the user has been looked up. Raises HashingBusy."""
    current_state().hasher.gate.check_device(place, account)


def hash_password(place: Place, password: str) -> str:
    """The bcrypt hash to store. Raises HashingBusy."""
    hasher = current_state().hasher  # the hashing thread has no application context
    return hasher.gate.run(place, lambda: _hash(hasher, password))


def check_password(place: Place, password: str, stored_hash: object, *, is_legacy: bool, renew: bool) -> Check:
    """Compare in constant time: the time does not tell whether a hash exists, its format, or its cost.

    ``stored_hash`` is what the user's document holds, well-formed or not; None if there is no user.
    ``is_legacy`` says that another stack wrote the hash: Node's bcrypt cuts passwords at 72 bytes, so only that much is
    compared. ``renew`` says that a password that matches is not refused. It asks for a new hash if the stored one is
    legacy or cheaper than BCRYPT_LOG_ROUNDS.
    Raises HashingBusy.
    """
    hasher = current_state().hasher
    dearest = hasher.dearest_stored()
    return hasher.gate.run(place, lambda: _check(hasher, password, stored_hash, is_legacy, renew, dearest))


def _check(
    hasher: PasswordHasher,
    password: str,
    stored_hash: object,
    is_legacy: bool,
    renew: bool,
    dearest: Sequence[object],
) -> Check:
    hasher.equal_time.learn(dearest)
    tagged = legacy.parse(stored_hash) if isinstance(stored_hash, str) else None
    if tagged is not None:
        return _check_tagged(hasher, password, tagged, renew)
    checking = partial(_check_bcrypt, hasher, password, stored_hash, is_legacy)
    (matches, rounds, is_cheaper), seconds = hasher.equal_time.timed(checking)
    hasher.equal_time.note_bcrypt(rounds, seconds)
    if not (matches and renew):
        hasher.equal_time.make_up_for_bcrypt(rounds)
    elif is_legacy or is_cheaper:
        return Check(matches, _hash(hasher, password))
    return Check(matches)


def _check_tagged(hasher: PasswordHasher, password: str, tagged: legacy.LegacyHash, renew: bool) -> Check:
    """Whether the document says that the hash is ours makes no difference: this service writes none of these."""
    matches, seconds = hasher.equal_time.check(tagged, password)
    if matches and renew:
        return Check(matches, _hash(hasher, password))
    hasher.equal_time.make_up_for(tagged, seconds)
    return Check(matches)


def _check_bcrypt(
    hasher: PasswordHasher, password: str, stored_hash: object, is_legacy: bool
) -> tuple[bool, int, bool]:
    """Whether it matches, the rounds of bcrypt that it took, and whether the hash is cheaper than ours.

    A broken hash takes as many rounds as ours.
    """
    if not isinstance(stored_hash, str) or not bcrypts.WELL_FORMED.fullmatch(stored_hash):
        _harden_runtime(hasher, password, hasher.cost, hasher.cost + 1)
        return False, rounds_of(hasher.cost), False
    stored_cost = int(stored_hash[4:6])
    attempt = password.encode()[: bcrypts.BCRYPT_BYTES] if is_legacy else _prehash(password)
    try:
        matches = bool(hasher.bcrypt.check_password_hash(stored_hash, attempt))
    except ValueError:  # the salt only looks valid; nothing was hashed
        _harden_runtime(hasher, password, hasher.cost, hasher.cost + 1)
        return False, rounds_of(hasher.cost), False
    # 2^c plus 2^c + ... + 2^(C-1) is 2^C: a legacy user with a cheaper hash does not get a faster answer.
    _harden_runtime(hasher, password, stored_cost, hasher.cost)
    return matches, rounds_of(max(stored_cost, hasher.cost)), stored_cost < hasher.cost


def _hash(hasher: PasswordHasher, password: str) -> str:
    hashed: bytes = hasher.bcrypt.generate_password_hash(_prehash(password), hasher.cost)
    return hashed.decode("ascii")


def _prehash(password: str) -> bytes:
    """The input of bcrypt: the password itself up to 72 bytes, as in Node's bcrypt; a keyed digest of a longer one."""
    whole = password.encode()
    if len(whole) <= bcrypts.BCRYPT_BYTES:
        return whole
    return base64.b64encode(hmac.digest(_PREHASH_KEY, whole, "sha384"))


def _harden_runtime(hasher: PasswordHasher, password: str, lowest_cost: int, highest_cost: int) -> None:
    """Take the time of a full check: hash against a decoy at each cost from lowest to highest, exclusive."""
    for cost in range(lowest_cost, highest_cost):
        _run_decoy(hasher.bcrypt, password.encode()[: bcrypts.BCRYPT_BYTES], cost)


def _run_decoy(bcrypt: Bcrypt, attempt: bytes, cost: int) -> None:
    bcrypt.check_password_hash(f"$2b${cost:02}${'.' * 53}", attempt)
