"""Payload's collections with ``auth``."""

import re

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import Hash, hash_and_salt
from authservice.migration.profiles.values import at, first, is_true, lasts, since_at_all

_ITERATIONS = 25_000
# From Payload 3.90. On Cloudflare Workers it had 100,000 iterations, and did not say so.
_VERSION_1 = "pbkdf2-sha256-v1:"
_ITERATIONS_OF_VERSION_1 = 600_000
_VERSION_2 = re.compile(r"pbkdf2-sha256-v2-i([0-9]{1,7})-l[0-9]{1,3}:([0-9a-f]+)")


def read(record: Record) -> MovedUser | Unreadable:
    deleted = since_at_all(first(record, "deletedAt", "deleted_at"))  # in the trash
    return build(
        first(record, "_id", "id"),
        at(record, "email"),
        _password(record),
        verified=is_true(at(record, "_verified")) or None,
        disabled=deleted or lasts(first(record, "lockUntil", "lock_until")) or None,
        created=first(record, "createdAt", "created_at"),
        roles=first(record, "roles", "role"),
    )


def _password(record: Record) -> Hash:
    stored, salt = at(record, "hash"), at(record, "salt")
    if isinstance(stored, str) and (form := _VERSION_2.fullmatch(stored)):
        return hash_and_salt(form[2], salt, "sha256", int(form[1]))
    if isinstance(stored, str) and stored.startswith(_VERSION_1):
        return hash_and_salt(stored.removeprefix(_VERSION_1), salt, "sha256", _ITERATIONS_OF_VERSION_1)
    return hash_and_salt(stored, salt, "sha256", _ITERATIONS)


# Payload keeps its own sessions in the document, under the name of ours.
PROFILE = Profile("payload", "Payload", read, may_adopt=True, replaces=("sessions",))
