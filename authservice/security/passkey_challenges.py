"""The challenges of passkeys: nobody stores what was issued, and the write that uses one spends it.

docs/decisions/0082-passkey-challenges.md
"""

import hmac
import re
import secrets
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

from authservice.security.keys import derived_keys
from authservice.state import current_state

LIFETIME_SECONDS = 300
REGISTRATION, AUTHENTICATION = "registration", "authentication"
_FUTURE_SECONDS = 5  # of another host, whose clock may be slightly ahead
_TIME_BYTES = 8
_RANDOM_BYTES = 16
_MAC_BYTES = 16
_KEY_INFO = b"authservice: passkey challenges"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class InvalidCredential(ValueError):
    """Not the answer to what was asked. Callers refuse it, each in its own words."""


def encoded(binary: bytes) -> str:
    """base64url without padding, as in every JSON of WebAuthn."""
    return urlsafe_b64encode(binary).decode().rstrip("=")


def decoded(text: object) -> bytes:
    """Raises InvalidCredential."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise InvalidCredential("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def new_challenge(purpose: str, user_id: str = "") -> str:
    """Good for LIFETIME_SECONDS, for one purpose and one user, or for all. Any page may ask for one."""
    body = struct.pack(">Q", time.time_ns() // 1_000) + secrets.token_bytes(_RANDOM_BYTES)
    return encoded(body + _macs(body, purpose, user_id)[0])


def issued_at(challenge: bytes, purpose: str, user_id: str = "") -> int:
    """When it was issued, in µs since the epoch. The database knows whether it has been spent.

    Raises InvalidCredential.
    """
    body, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
    is_ours = any(hmac.compare_digest(mac, ours) for ours in _macs(body, purpose, user_id))
    if len(body) != _TIME_BYTES + _RANDOM_BYTES or not is_ours:
        raise InvalidCredential("a challenge that we have not issued for this")
    microseconds: int = struct.unpack(">Q", body[:_TIME_BYTES])[0]
    if not -_FUTURE_SECONDS <= time.time() - microseconds / 1e6 <= LIFETIME_SECONDS:
        raise InvalidCredential("an old challenge")
    return microseconds


def _macs(body: bytes, purpose: str, user_id: str) -> list[bytes]:
    """By the key that signs, and by the old ones."""
    signed = f"{purpose} {user_id} ".encode() + body
    keys = derived_keys(current_state().settings, _KEY_INFO)
    return [hmac.digest(key, signed, "sha256")[:_MAC_BYTES] for key in keys]
