"""The hashes of other stacks as the one string that ``password`` holds.

Each function returns None if the user has no password there.
"""

import base64

from authservice.migration.moved import Unreadable
from authservice.migration.profiles.values import hex_bytes, number, text
from authservice.security import legacy
from authservice.security.legacy import bcrypts, encode

Hash = str | Unreadable | None

UNKNOWN = Unreadable("unknown kind of password hash")
MALFORMED = Unreadable("password hash is malformed, or its cost is too high")


def self_describing(stored: object) -> Hash:
    """bcrypt, and Argon2 as a PHC string. What begins with ``!`` is no password in many stacks."""
    if stored is None or stored == "" or (isinstance(stored, str) and stored.startswith("!")):
        return None
    found = text(stored)
    if found is None:
        return UNKNOWN
    if found.startswith(("$2a$", "$2b$", "$2y$")):
        return found if bcrypts.WELL_FORMED.fullmatch(found) else MALFORMED
    return checked(found) if found.startswith("$argon2") else UNKNOWN


def hash_and_salt(hash_in_hex: object, salt: object, digest: str, iterations: int) -> Hash:
    """PBKDF2 whose salt is text that stands for itself, also where it looks like hexadecimal."""
    if hash_in_hex in (None, ""):
        return None
    return pbkdf2(digest, iterations, utf8(salt), hex_bytes(hash_in_hex))


def pbkdf2(digest: str, iterations: object, salt: bytes | None, hashed: bytes | None) -> Hash:
    """MALFORMED if one of the parts could not be read."""
    rounds = number(iterations)
    if rounds is None or salt is None or hashed is None:
        return MALFORMED
    return checked(encode.pbkdf2(digest, rounds, salt, hashed))


def scrypt(n: object, r: object, p: object, salt: bytes | None, hashed: bytes | None) -> Hash:
    """``n`` is a power of two. MALFORMED if one of the parts could not be read."""
    cost, block, lanes = number(n), number(r), number(p)
    if cost is None or block is None or lanes is None or salt is None or hashed is None:
        return MALFORMED
    if cost < 2 or cost & (cost - 1):
        return MALFORMED
    return checked(encode.scrypt(cost.bit_length() - 1, block, lanes, salt, hashed))


def argon2(
    kind: object, memory: object, passes: object, lanes: object, salt: bytes | None, hashed: bytes | None
) -> Hash:
    """``kind`` is i, d or id. MALFORMED if one of the parts could not be read."""
    if salt is None or hashed is None:
        return MALFORMED
    parameters = f"m={number(memory)},t={number(passes)},p={number(lanes)}"
    return checked(f"$argon2{kind}$v=19${parameters}${_unpadded(salt)}${_unpadded(hashed)}")


def utf8(salt: object) -> bytes | None:
    """The bytes of a salt that is text."""
    found = text(salt)
    return found.encode() if found else None


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def checked(tagged: str) -> Hash:
    """The string, if it is one that this service can check at a bearable cost."""
    return MALFORMED if legacy.parse(tagged) is None else tagged
