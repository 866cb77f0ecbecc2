"""Hashes by PBKDF2 (RFC 8018)."""

import hashlib
import hmac
import re

from authservice.security.legacy.inner import Inner, unbase64

ITERATIONS_MAX = 2_000_000
# What stacks make. A hash of another length has been cut, and PBKDF2 would take its beginning for the whole.
HASH_BYTES = frozenset({16, 20, 24, 32, 48, 64, 128, 256, 512})
_SALT_MAX_BYTES = 512
_BLOCK_BYTES = {"sha1": 20, "sha256": 32, "sha512": 64}
_MS_PER_ITERATION = {"sha1": 0.00036, "sha256": 0.00039, "sha512": 0.00085}
_FORM = re.compile(r"\$pbkdf2\$(sha1|sha256|sha512|sha256\+sha1)\$([1-9][0-9]{0,6})\$([^$]*)\$([^$]+)")


def read(text: str) -> Inner | None:
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    digests, iterations = form[1].split("+"), int(form[2])
    salt, expected = unbase64(form[3]), unbase64(form[4])
    if salt is None or expected is None or len(salt) > _SALT_MAX_BYTES or len(expected) not in HASH_BYTES:
        return None
    if iterations > ITERATIONS_MAX:
        return None

    def matches(secret: bytes) -> bool:
        # All digests, also after a match: see parsing.py.
        return any([_matches(digest, secret, salt, iterations, expected) for digest in digests])  # noqa: C419

    dear = sum(iterations * _MS_PER_ITERATION[digest] for digest in digests)
    return Inner(f"pbkdf2-{form[1]}", f"{iterations:,} iterations", dear, matches)


def _matches(digest: str, secret: bytes, salt: bytes, iterations: int, expected: bytes) -> bool:
    """By the first block: its 128 bits or more are enough.

    Up to 25 more of the same price would tell by their time that the password of a disabled user is right.
    """
    size = min(len(expected), _BLOCK_BYTES[digest])
    return hmac.compare_digest(hashlib.pbkdf2_hmac(digest, secret, salt, iterations, size), expected[:size])
