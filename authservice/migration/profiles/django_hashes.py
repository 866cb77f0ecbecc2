"""The hashes of django.contrib.auth, which other services take over as well.

Source: django/contrib/auth/hashers.py.
"""

from authservice.migration.profiles.hashes import (
    MALFORMED,
    Hash,
    checked,
    pbkdf2,
    scrypt,
    self_describing,
    utf8,
)
from authservice.migration.profiles.values import base64_bytes
from authservice.security.legacy import encode


def read(stored: object) -> Hash:
    """``algorithm$...``. A hash with another stack's form reads as there."""
    algorithm, _, rest = stored.partition("$") if isinstance(stored, str) else ("", "", "")
    if algorithm in ("pbkdf2_sha256", "pbkdf2_sha1"):
        return _pbkdf2(algorithm.removeprefix("pbkdf2_"), rest)
    if algorithm == "bcrypt_sha256":
        inner = self_describing(rest)
        return checked(encode.sha256hex(inner)) if isinstance(inner, str) else inner
    if algorithm == "bcrypt":
        return self_describing(rest)
    if algorithm == "argon2":
        return self_describing(f"${rest}")
    if algorithm == "scrypt":
        return _scrypt(rest)
    return self_describing(stored)


def _pbkdf2(digest: str, rest: str) -> Hash:
    parts = rest.split("$")
    if len(parts) != 3:
        return MALFORMED
    iterations, salt, hashed = parts
    return pbkdf2(digest, iterations, utf8(salt), base64_bytes(hashed))


def _scrypt(rest: str) -> Hash:
    parts = rest.split("$")
    if len(parts) != 5:
        return MALFORMED
    n, salt, r, p, hashed = parts
    return scrypt(n, r, p, utf8(salt), base64_bytes(hashed))
