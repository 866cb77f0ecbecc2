"""Parse Server's ``_User``, as it lies in MongoDB.

Its roles lie in other collections. Clients can write a field ``roles`` of their own user, so it is not read.
"""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build, email_or_name, proof_of_email
from authservice.migration.profiles.hashes import self_describing
from authservice.migration.profiles.usual import disabled
from authservice.migration.profiles.values import at, first, is_true, lasts


def read(record: Record) -> MovedUser | Unreadable:
    return build(
        first(record, "_id", "objectId"),
        email_or_name(record),
        self_describing(first(record, "_hashed_password")),
        verified=proof_of_email(record, is_true(at(record, "emailVerified")) or None),
        disabled=disabled(record) or lasts(at(record, "_account_lockout_expires_at")) or None,
        created=first(record, "_created_at", "createdAt"),
    )


PROFILE = Profile("parse", "Parse Server", read, may_adopt=True)
