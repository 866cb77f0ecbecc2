"""Continuations: what takes a sign-in from its right password to its second step. Nothing is stored.

A continuation names its user in clear, and has a MAC of the stored hash: a changed password makes it void. It is not
secret from its user, and it is no JWT: it has a key of its own, and no dots.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass

from itsdangerous import BadData, TimestampSigner

from authservice.security.keys import derived_keys
from authservice.state import current_state

LIFETIME_SECONDS = 300
_CLOCKS_DIFFER_SECONDS = 5  # between two hosts
_SALT = b"authservice: continuation of a sign-in"
_KEY_INFO = b"authservice: continuations"


@dataclass(frozen=True)
class Continuation:
    """Who has shown the right password. Whether it is still the password, ``is_of`` says."""

    user_id: str
    mac: str

    def is_of(self, stored_hash: object) -> bool:
        """Whether the user's document still has the hash that the password was checked against."""
        macs = (_mac(key, self.user_id, stored_hash) for key in _keys())
        return any(hmac.compare_digest(self.mac.encode(), mac.encode()) for mac in macs)


def issue(user_id: str, stored_hash: object) -> str:
    """For a client that has just shown the password; good for LIFETIME_SECONDS."""
    return _signer().sign(f"{user_id}:{_mac(_keys()[0], user_id, stored_hash)}").decode()


def read(continuation: str) -> Continuation | None:
    """None if it is not ours, or has expired."""
    try:
        signed, issued_at = _signer().unsign(continuation, return_timestamp=True)
    except (BadData, ValueError):  # ValueError: no UTF-8
        return None
    if not -_CLOCKS_DIFFER_SECONDS <= time.time() - issued_at.timestamp() < LIFETIME_SECONDS:
        return None
    user_id, _, mac = signed.decode().partition(":")
    return Continuation(user_id, mac)


def _mac(key: bytes, user_id: str, stored_hash: object) -> str:
    return hmac.digest(key, f"{user_id}:{stored_hash}".encode(), "sha256").hex()


def _signer() -> TimestampSigner:
    return TimestampSigner([*reversed(_keys())], _SALT, sep="~", digest_method=hashlib.sha256)  # it signs with the last


def _keys() -> tuple[bytes, ...]:
    return derived_keys(current_state().settings, _KEY_INFO)
