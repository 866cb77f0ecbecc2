"""Meteor's accounts-password: the hash of a hexadecimal SHA-256, and several e-mails."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import UNKNOWN, Hash, checked, self_describing
from authservice.migration.profiles.values import at, first, is_true, items
from authservice.security.legacy import encode


def read(record: Record) -> MovedUser | Unreadable:
    emails = items(at(record, "emails"))
    # Another user's address can only be among those that are not verified.
    chosen = next((one for one in emails if is_true(at(one, "verified"))), emails[0] if emails else None)
    return build(
        first(record, "_id"),
        at(chosen, "address"),
        _password(record),
        verified=is_true(at(chosen, "verified")) or None,
        created=at(record, "createdAt"),
        roles=at(record, "roles"),
    )


def _password(record: Record) -> Hash:
    inner = self_describing(first(record, "services.password.bcrypt", "services.password.argon2"))
    if inner is None and at(record, "services.password.srp") is not None:
        return UNKNOWN  # of Meteor before 0.8.2
    return checked(encode.meteor(inner)) if isinstance(inner, str) else inner


PROFILE = Profile("meteor", "Meteor", read, may_adopt=True)
