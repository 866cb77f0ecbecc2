"""Clerk: the CSV file that its dashboard exports."""

import re

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import django_hashes, firebase_hashes, werkzeug_hashes
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import MALFORMED, UNKNOWN, Hash, pbkdf2, self_describing, utf8
from authservice.migration.profiles.values import at, base64_bytes, first, hex_bytes, items, since_at_all, text

_SEPARATOR = re.compile(r"[,;|\s]+")


def read(record: Record) -> MovedUser | Unreadable:
    verified = _addresses(at(record, "verified_email_addresses"))
    unverified = _addresses(at(record, "unverified_email_addresses"))
    address = first(record, "primary_email_address") or next(iter((*verified, *unverified)), None)
    return build(
        at(record, "id"),
        address,
        _password(record),
        verified=address in verified or None,
        disabled=since_at_all(at(record, "banned")),
        created=at(record, "created_at"),
    )


def _addresses(listed: object) -> list[object]:
    return [*filter(None, _SEPARATOR.split(listed))] if isinstance(listed, str) else items(listed)


def _password(record: Record) -> Hash:
    """Source: Clerk's documentation of ``password_hasher``."""
    digest, hasher = text(first(record, "password_digest")), first(record, "password_hasher")
    if digest is None:
        return None
    parts = digest.split("$")
    match hasher, parts:
        case (("bcrypt" | "argon2i" | "argon2id" | None), _):
            return self_describing(digest)
        case (("bcrypt_sha256_django" | "pbkdf2_sha256_django"), _):
            return django_hashes.read(digest)
        case "scrypt_werkzeug", _:
            return werkzeug_hashes.read(digest)
        case "pbkdf2_sha256", [_, iterations, salt, hashed]:
            return pbkdf2("sha256", iterations, base64_bytes(salt), base64_bytes(hashed))
        case "pbkdf2_sha1", [_, iterations, salt, hashed, *_]:
            return pbkdf2("sha1", iterations, utf8(salt), hex_bytes(hashed))
        case "pbkdf2_sha512", [_, iterations, salt, hashed]:
            return pbkdf2("sha512", iterations, utf8(salt), hex_bytes(hashed))
        case "pbkdf2_sha512_hex", [_, iterations, salt, hashed]:
            return pbkdf2("sha512", iterations, hex_bytes(salt), hex_bytes(hashed))
        case "scrypt_firebase", [hashed, salt, signer_key, separator, rounds, mem_cost]:
            return firebase_hashes.read_with_key(
                salt, hashed, signer_key=signer_key, separator=separator, rounds=rounds, mem_cost=mem_cost
            )
        case (("pbkdf2_sha256" | "pbkdf2_sha1" | "pbkdf2_sha512" | "pbkdf2_sha512_hex" | "scrypt_firebase"), _):
            return MALFORMED
        case _:
            return UNKNOWN


PROFILE = Profile("clerk", "Clerk", read)
