"""Better Auth: the collections ``user`` and ``account``, whose passwords lie in the accounts of ``credential``."""

from authservice.migration.moved import Joins, MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import MALFORMED, Hash, checked, self_describing
from authservice.migration.profiles.values import at, first, hex_bytes, identifier, is_true, items, lasts, since
from authservice.security.legacy import encode

_LN, _R, _P = 14, 16, 1


def part_of(record: Record) -> tuple[str, str] | None:
    """Sessions and verifications, which lie in files of the same kind, are of no use."""
    provider = first(record, "providerId", "provider_id")
    if provider is not None:
        owner = identifier(first(record, "userId", "user_id"))
        return ("account", owner) if owner and provider == "credential" else None
    known = identifier(first(record, "_id", "id"))
    return ("user", known) if known and at(record, "email") else None


def read(record: Record) -> MovedUser | Unreadable:
    user = next(iter(items(at(record, "user"))), None)
    accounts = items(at(record, "account"))
    ends = first(user, "banExpires", "ban_expires")
    banned = is_true(at(user, "banned")) and (ends is None or lasts(ends))
    return build(
        first(user, "_id", "id"),
        at(user, "email"),
        _password(next((stored for one in accounts if (stored := at(one, "password"))), None)),
        verified=since(first(user, "emailVerified", "email_verified")),
        disabled=banned or None,
        created=first(user, "createdAt", "created_at"),
        roles=first(user, "role"),
    )


def _password(stored: object) -> Hash:
    """Its own form is salt:hash in hexadecimal; an app can have its own hash function instead."""
    if not isinstance(stored, str) or ":" not in stored:
        return self_describing(stored)
    salt, _, hashed = stored.partition(":")
    key = hex_bytes(hashed)
    if key is None or not salt.isascii():
        return MALFORMED
    return checked(encode.scrypt(_LN, _R, _P, salt.encode(), key, nfkc=True))


PROFILE = Profile(
    "better-auth",
    "Better Auth",
    read,
    joins=Joins("user", part_of),
    why_empty="Give the file of accounts as well: the passwords are in it.",
)
