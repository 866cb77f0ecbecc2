"""NestJS with Mongoose: bcrypt, and no convention for the rest. The usual names of fields are read."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import self_describing
from authservice.migration.profiles.usual import disabled, verified
from authservice.migration.profiles.values import at, first


def read(record: Record) -> MovedUser | Unreadable:
    return build(
        first(record, "_id", "id"),
        at(record, "email"),
        self_describing(at(record, "password")),
        verified=verified(record),
        disabled=disabled(record),
        created=first(record, "createdAt", "created_at"),
        roles=first(record, "roles", "role"),
    )


PROFILE = Profile("nestjs", "NestJS with Mongoose", read, may_adopt=True)
