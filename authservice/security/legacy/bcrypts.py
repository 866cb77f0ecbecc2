"""Hashes by bcrypt, which reads the first 72 bytes."""

import re

import bcrypt

from authservice.security.legacy.inner import Inner

BCRYPT_BYTES = 72
_COST_4_MS = 1.12
# Cost 4 to 14: cost 31 would hold a core for days.
WELL_FORMED = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")


def read(text: str) -> Inner | None:
    form = WELL_FORMED.fullmatch(text)
    if form is None:
        return None
    cost = int(form[1])
    stored = text.encode("ascii")
    return Inner("bcrypt", f"cost {cost}", dear_of(cost), lambda secret: _matches(secret, stored))


def dear_of(cost: int) -> float:
    """As in LegacyHash."""
    return _COST_4_MS * 2.0 ** (cost - 4)


def _matches(secret: bytes, stored: bytes) -> bool:
    try:
        return bcrypt.checkpw(secret[:BCRYPT_BYTES], stored)
    except ValueError:  # the salt only looks valid
        return False
