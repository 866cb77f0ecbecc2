"""The hashes of werkzeug.security, which many Flask apps use alone."""

from authservice.migration.profiles.hashes import MALFORMED, UNKNOWN, Hash, pbkdf2, scrypt, utf8
from authservice.migration.profiles.values import hex_bytes


def is_one(stored: object) -> bool:
    return isinstance(stored, str) and stored.startswith(("scrypt:", "pbkdf2:"))


def read(stored: object) -> Hash:
    """``method$salt$hash``, the salt as text and the hash in hexadecimal."""
    parts = stored.split("$") if isinstance(stored, str) else []
    if len(parts) != 3:
        return MALFORMED
    method, salt, hashed = parts
    match method.split(":"):
        case ["scrypt", n, r, p]:
            return scrypt(n, r, p, utf8(salt), hex_bytes(hashed))
        case ["pbkdf2", ("sha1" | "sha256" | "sha512") as digest, iterations]:
            return pbkdf2(digest, iterations, utf8(salt), hex_bytes(hashed))
        case _:
            return UNKNOWN
