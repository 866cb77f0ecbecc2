"""Devise with Mongoid, or a table of its users."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import Hash, checked, self_describing
from authservice.migration.profiles.usual import disabled
from authservice.migration.profiles.values import at, first, lasts, since
from authservice.security.legacy import encode


def read(record: Record) -> MovedUser | Unreadable:
    # Devise locks for an hour by default. A lock that began in the past is over, or a mail ends it.
    return build(
        first(record, "_id", "id"),
        at(record, "email"),
        _password(at(record, "encrypted_password")),
        verified=since(at(record, "confirmed_at")),
        disabled=disabled(record) or lasts(at(record, "locked_at")) or None,
        created=first(record, "created_at", "createdAt"),
        roles=first(record, "roles", "role"),
    )


def _password(stored: object) -> Hash:
    """With or without a pepper: the hash looks the same."""
    inner = self_describing(stored)
    return checked(encode.devise(inner)) if isinstance(inner, str) else inner


PROFILE = Profile("devise", "Devise", read, may_adopt=True)
