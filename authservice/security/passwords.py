"""Passwords: hash and check them, behind a gate that keeps hashing from starving everything else."""

import base64
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask_bcrypt import Bcrypt

from authservice.security.clients import client_of
from authservice.security.hashing_gate import HashingGate, Place
from authservice.state import current_state

BCRYPT_BYTES = 72  # bcrypt reads no more
# The key is not secret. It makes the digest differ from every other SHA-384, so that hashes leaked from elsewhere
# cannot be tried here instead of the password ("password shucking").
_PREHASH_KEY = b"authservice: a password of more than 72 bytes"
# Cost 4 to 14: a stored hash of cost 31 would hold a core for days.
_WELL_FORMED = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")


@dataclass(frozen=True)
class Check:
    """The result of checking a password. ``renewed_hash`` replaces the stored hash."""

    matches: bool
    renewed_hash: str | None = None


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
    """Compare in constant time: the time does not tell whether a hash exists, or its cost.

    ``stored_hash`` is what the user's document holds, well-formed or not; None if there is no user.
    ``is_legacy`` says that another stack wrote the hash: Node's bcrypt cuts passwords at 72 bytes, so only that much is
    compared. ``renew`` asks for a new hash if the password matches and the stored hash is legacy or cheaper than
    BCRYPT_LOG_ROUNDS.
    Raises HashingBusy.
    """
    hasher = current_state().hasher
    return hasher.gate.run(place, lambda: _check(hasher, password, stored_hash, is_legacy, renew))


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
