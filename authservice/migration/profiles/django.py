"""Django: what dumpdata writes, a table of users, or the collection of a MongoDB backend."""

from dataclasses import replace

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import django_hashes
from authservice.migration.profiles.building import build, email_or_name, proof_of_email
from authservice.migration.profiles.usual import disabled, verified
from authservice.migration.profiles.values import at, first, items

_OF_EVERY_USER_MODEL = ("password", "last_login")


def read(record: Record) -> MovedUser | Unreadable | None:
    """None for other models: dumpdata writes all of them into one file."""
    fields = record
    if "model" in record and "fields" in record:
        fields = record["fields"]
        if not isinstance(fields, dict) or not all(name in fields for name in _OF_EVERY_USER_MODEL):
            return None
    own = first(record, "pk", "_id", "id")
    moved = build(
        own or first(fields, "username", "email"),  # dumpdata --natural-primary has no pk
        email_or_name(fields),
        django_hashes.read(at(fields, "password")),
        verified=proof_of_email(fields, verified(fields)),
        disabled=disabled(fields),
        created=at(fields, "date_joined"),
        roles=[name for group in items(at(fields, "groups")) for name in items(group)],  # dumpdata --natural-foreign
    )
    return replace(moved, has_own_id=False) if not own and isinstance(moved, MovedUser) else moved


PROFILE = Profile("django", "Django", read, may_adopt=True)
