"""Medusa 2: ``customer`` or ``user``, and the passwords in ``provider_identity``, joined by ``auth_identity``.

Strangers can register an identity of any e-mail. It is a customer's only if its ``auth_identity`` says so.

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
    if "app_metadata" in record and "provider" not in record:
        known = identifier(at(record, "id"))
        return ("auth_identity", _key_of(known)) if known and is_false(at(record, "deleted_at")) else None
    if "provider" in record:
        name = text(at(record, "entity_id"))
        is_of_use = at(record, "provider") == "emailpass" and is_false(at(record, "deleted_at"))
        return ("identity", name.lower()) if name and is_of_use else None
    email = text(at(record, "email"))
    is_guest = "has_account" in record and is_false(record["has_account"])
    is_person = email is not None and not is_guest and first(record, "id") is not None
    return ("person", email.lower()) if email and is_person else None


def refers_to(record: Record) -> str | None:
    known = identifier(at(record, "auth_identity_id")) if "provider" in record else None
    return _key_of(known) if known else None


def _key_of(auth_identity: str) -> str:
    return f"auth_identity {auth_identity}"  # no e-mail has a space


def read(record: Record) -> MovedUser | Unreadable:
    # The same person can be a customer and a user of the admin: one password, and one account here.
    people = sorted(items(at(record, "person")), key=lambda one: identifier(at(one, "id")) or "")
    person = next((one for one in people if is_false(at(one, "deleted_at"))), None)
    if person is None and people:
        return DELETED
    owned = _identities_of(identifier(at(person, "id")), items(at(record, "auth_identity")))
    identities = items(at(record, "identity"))
    identity = next((one for one in identities if identifier(at(one, "auth_identity_id")) in owned), None)
    metadata = parsed(at(identity, "provider_metadata"))
    return build(
        at(person, "id"),
        at(person, "email"),
        _password(first(metadata, "password") or first(person, "password_hash")),
        created=at(person, "created_at"),
    )


def _identities_of(person: str | None, auth_identities: list[object]) -> set[str | None]:
    owners = ("app_metadata.customer_id", "app_metadata.user_id")
    return {
        identifier(at(one, "id"))
        for one in auth_identities
        if person and person in [identifier(at(one, owner)) for owner in owners]
    } - {None}


def _password(stored: object) -> Hash:
    return checked(encode.scrypt_kdf(stored.strip())) if isinstance(stored, str) else None


PROFILE = Profile(
    "medusa",
    "Medusa",
    read,
    joins=Joins("person", part_of, referred="auth_identity", refers_to=refers_to),
    why_empty="Give the tables provider_identity and auth_identity as well: passwords and their owners are in them.",
)
