"""Builds the user from what a profile found in the record."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from authservice.migration.moved import MovedUser, Unreadable
from authservice.migration.profiles.hashes import Hash
from authservice.migration.profiles.values import at, first, identifier, items, moment, text

_EMAIL_MAX_CHARACTERS = 1000  # the import checks it by the rules of e-mails; this only bounds the work
_SEPARATOR = re.compile(r"[,\s]+")

NO_ID = Unreadable("no id")
NO_EMAIL = Unreadable("no e-mail")


def build(
    identity: object,
    email: object,
    password: Hash,
    *,
    verified: datetime | bool | None = None,
    disabled: datetime | bool | None = None,
    created: object = None,
    roles: object = None,
    more: Mapping[str, Any] | None = None,
) -> MovedUser | Unreadable:
    """``identity``, ``email``, ``created`` and ``roles`` are as they stand in the record."""
    known, address = identifier(identity), text(email)
    if known is None:
        return NO_ID
    if address is None or "@" not in address or len(address) > _EMAIL_MAX_CHARACTERS:
        return NO_EMAIL
    if isinstance(password, Unreadable):
        return password
    return MovedUser(
        id=known,
        email=address.strip(),
        password=password,
        email_verified_at=verified,
        disabled_at=disabled,
        created_at=moment(created),
        roles=role_names(roles),
        more=more or {},
    )


def role_names(value: object) -> tuple[str, ...]:
    """The names in a list, in text with commas, or in a list of objects with a name. Ids of roles are none.

    PostgreSQL writes a list in braces.
    """
    listed = items(value)
    if not listed and isinstance(value, str):
        listed = [*_SEPARATOR.split(value.strip("{}"))]
    names = (text(one) or text(at(one, "name")) for one in listed)
    return tuple(dict.fromkeys(name for name in names if name))


def proof_of_email(record: object, proof: datetime | bool | None) -> datetime | bool | None:
    """The proof, if the user has the e-mail that it is of. It says nothing about a name."""
    return proof if first(record, "email") is not None else None


def email_or_name(record: object) -> object:
    """The e-mail; where users sign in with a name, that may be one."""
    return first(record, "email") or at(record, "username")
