"""Common passwords: hashes of some 109,000, cut to five bytes, in common_passwords.bin.

Made by tools/build_common_passwords.py. Why these, and how often it errs: docs/decisions/0050-common-passwords.md.
"""

import hashlib
from bisect import bisect_left
from functools import lru_cache
from pathlib import Path

HASH_BYTES = 5
PATH = Path(__file__).with_suffix(".bin")


def is_common(password: str) -> bool:
    """Whether the list has the password, in upper or lower case."""
    hashes = _sorted_hashes()
    wanted = hash_of(password.casefold())
    index = bisect_left(range(len(hashes) // HASH_BYTES), wanted, key=lambda at: _hash_at(hashes, at))
    return _hash_at(hashes, index) == wanted


def hash_of(folded: str) -> bytes:
    return hashlib.sha256(folded.encode()).digest()[:HASH_BYTES]


@lru_cache(maxsize=1)
def _sorted_hashes() -> bytes:
    return PATH.read_bytes()


def _hash_at(hashes: bytes, index: int) -> bytes:
    return hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES]
