"""The hashes of other stacks as the one string that ``password`` holds.

Each function returns None if the user has no password there.
"""

import re

from authservice.migration.moved import Unreadable
from authservice.migration.profiles.values import hex_bytes, text
from authservice.security import legacy
from authservice.security.legacy import encode

# The costs that sign in here: a stored hash of cost 31 would hold a core for days.
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")

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
        return found if BCRYPT.fullmatch(found) else MALFORMED
    return checked(found) if found.startswith("$argon2") else UNKNOWN


def hash_and_salt(hash_in_hex: object, salt: object, digest: str, iterations: int) -> Hash:
    """PBKDF2 whose salt is text that stands for itself, also where it looks like hexadecimal."""
    if hash_in_hex in (None, ""):
        return None
    hashed, salted = hex_bytes(hash_in_hex), text(salt)
    if hashed is None or salted is None:
        return MALFORMED
    return checked(encode.pbkdf2(digest, iterations, salted.encode(), hashed))


def checked(tagged: str) -> Hash:
    """The string, if it is one that this service can check at a bearable cost."""
    return MALFORMED if legacy.parse(tagged) is None else tagged
