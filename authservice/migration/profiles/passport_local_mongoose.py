"""passport-local-mongoose, with its own parameters.

The hash does not say whether it is of SHA-256 (from version 4.5) or SHA-1, so both are tried.
"""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build, email_or_name, proof_of_email
from authservice.migration.profiles.hashes import hash_and_salt
from authservice.migration.profiles.usual import disabled, verified
from authservice.migration.profiles.values import at, first

_ITERATIONS = 25_000


def read(record: Record) -> MovedUser | Unreadable:
    return build(
        first(record, "_id", "id"),
        email_or_name(record),
        hash_and_salt(at(record, "hash"), at(record, "salt"), "sha256+sha1", _ITERATIONS),
        verified=proof_of_email(record, verified(record)),
        disabled=disabled(record),
        created=first(record, "createdAt", "created_at"),
        roles=first(record, "roles", "role"),
    )


PROFILE = Profile("passport-local-mongoose", "passport-local-mongoose", read, may_adopt=True)
