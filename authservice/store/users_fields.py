"""The fields of another app in its documents, as FLASK_USERS_FIELDS maps them. They are read and never written.

Ours wins where the document has it: ``password``, ``disabledAt`` (null is "enabled here"), ``emailVerifiedAt``.

Writes hold the password that was checked in their condition, in whichever field it is. They do not check whether
the other app has disabled the user: such a condition would need $or, which reads all users in the embedded server. The
read before the write decides, and so does the next guard.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from authservice.config.users_fields import UsersFields
from authservice.state import current_state

_NONE = UsersFields()
_NOT_SET = (None, False, 0, "")
_BCRYPT = re.compile(r"\$2[abxy]?\$")


def of_settings(settings: Mapping[str, Any]) -> UsersFields:
    fields: UsersFields | None = settings["USERS_FIELDS"]
    return fields or _NONE


def of_state(fields: UsersFields) -> dict[str, int]:
    """The projection of what says whether a user is disabled or verified."""
    return {theirs: 1 for theirs in (fields.disabled_at, fields.email_verified_at) if theirs is not None}


def current() -> UsersFields:
    return of_settings(current_state().settings)


def is_disabled(document: Mapping[str, Any]) -> bool:
    """If a field is ambiguous, the stricter reading counts."""
    theirs = current().disabled_at
    if theirs is None or "disabledAt" in document:
        return document.get("disabledAt") is not None
    value = document.get(theirs)
    return isinstance(value, (list, dict)) or value not in _NOT_SET


def is_verified(document: Mapping[str, Any]) -> bool:
    theirs = current().email_verified_at
    if isinstance(document.get("emailVerifiedAt"), datetime):
        return True
    return theirs is not None and (document.get(theirs) is True or isinstance(document.get(theirs), datetime))


def verified() -> list[dict[str, Any]]:
    """The conditions of which a verified user meets one."""
    theirs = current().email_verified_at
    ours = {"emailVerifiedAt": {"$type": "date"}}
    return [ours] if theirs is None else [ours, {theirs: {"$type": "date"}}, {theirs: True}]


def unverified() -> dict[str, Any]:
    """The condition of a user who is not verified."""
    theirs = current().email_verified_at
    ours = {"emailVerifiedAt": {"$not": {"$type": "date"}}}
    return ours if theirs is None else {**ours, theirs: {"$not": {"$type": "date"}, "$ne": True}}


def disabled_by_them() -> dict[str, Any] | None:
    """The condition of a user whom the other app disables, whatever we say; None if that is not mapped."""
    theirs = current().disabled_at
    return None if theirs is None else {theirs: {"$nin": [*_NOT_SET]}}


def their_password(document: Mapping[str, Any]) -> tuple[str, object] | None:
    """The field of the other app that has the user's password, with its value; None if ours counts."""
    theirs = current().password
    return None if theirs is None or "password" in document else (theirs, document.get(theirs))


def as_tagged(value: object) -> object:
    """With a pepper, a bcrypt hash of the other app is Devise's."""
    has_pepper = current_state().settings["LEGACY_PEPPER"] is not None
    return f"$devise${value}" if has_pepper and isinstance(value, str) and _BCRYPT.match(value) else value


def with_their_password() -> list[dict[str, Any]]:
    """The condition of a user who has a password in the other app's field alone; empty if that is not mapped."""
    theirs = current().password
    return [] if theirs is None else [{"password": {"$exists": False}, theirs: {"$type": "string", "$ne": ""}}]
