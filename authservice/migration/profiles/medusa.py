"""Medusa 2: ``customer`` or ``user``, and the passwords in ``provider_identity``, of the same e-mail.

Medusa 1 has them in ``password_hash`` of the customer or user.
"""

from authservice.migration.moved import Joins, MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import Hash, checked
from authservice.migration.profiles.values import at, first, identifier, is_false, items, parsed, text
from authservice.security.legacy import encode

DELETED = Unreadable("deleted there")


def part_of(record: Record) -> tuple[str, str] | None:
    """Guests, who never had an account, and identities of other services are of no use."""
    if "provider" in record:
        name = text(at(record, "entity_id"))
        is_of_use = at(record, "provider") == "emailpass" and is_false(at(record, "deleted_at"))
        return ("identity", name.lower()) if name and is_of_use else None
    email = text(at(record, "email"))
    is_guest = "has_account" in record and is_false(record["has_account"])
    is_person = email is not None and not is_guest and first(record, "id") is not None
    return ("person", email.lower()) if email and is_person else None


def read(record: Record) -> MovedUser | Unreadable:
    # The same person can be a customer and a user of the admin: one password, and one account here.
    people = sorted(items(at(record, "person")), key=lambda one: identifier(at(one, "id")) or "")
    person = next((one for one in people if is_false(at(one, "deleted_at"))), None)
    if person is None and people:
        return DELETED
    identity = next(iter(items(at(record, "identity"))), None)
    metadata = parsed(at(identity, "provider_metadata"))
    return build(
        at(person, "id"),
        at(person, "email"),
        _password(first(metadata, "password") or first(person, "password_hash")),
        created=at(person, "created_at"),
    )


def _password(stored: object) -> Hash:
    return checked(encode.scrypt_kdf(stored.strip())) if isinstance(stored, str) else None


PROFILE = Profile("medusa", "Medusa", read, joins=Joins("person", part_of))
