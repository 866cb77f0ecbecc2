"""Strapi 3's ``users-permissions_user``, and the table ``up_users`` of its successors."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import self_describing
from authservice.migration.profiles.values import at, first, since, since_at_all


def read(record: Record) -> MovedUser | Unreadable:
    return build(
        first(record, "_id", "id"),
        at(record, "email"),
        self_describing(at(record, "password")),
        verified=since(at(record, "confirmed")),
        disabled=since_at_all(at(record, "blocked")),
        created=first(record, "createdAt", "created_at"),
        roles=[at(record, "role")],  # an id, unless the export filled it in
    )


PROFILE = Profile("strapi", "Strapi", read, may_adopt=True)
