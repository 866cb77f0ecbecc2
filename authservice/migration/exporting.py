"""Writes users as ``users import --from authservice`` reads them: one object a line, in extended JSON."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bson import json_util

from authservice.migration.preparing import origin_of
from authservice.store import exports, users_fields
from authservice.store.clock import now
from authservice.store.users import read_user, stored_password

_SHAPES: dict[str, type] = {
    "passwordChangedAt": datetime,
    "passwordRenewedAt": datetime,
    "twoStep": dict,
    "passkeys": list,
}


def lines(*, with_hashes: bool) -> Iterator[str | None]:
    """Every account, in the order of the ids; None for a document without an e-mail.

    ``with_hashes`` also has encrypted second factors, and passkeys.
    """
    for document in exports.documents(with_secrets=with_hashes):
        if isinstance(document.get("email"), str):
            record = _record(document) | (_secrets(document) if with_hashes else {})
            yield json_util.dumps(record, json_options=json_util.RELAXED_JSON_OPTIONS) + "\n"
        else:
            yield None


def _record(document: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of another app (FLASK_USERS_FIELDS) count too; what they say without a date has that of the export."""
    user, theirs = read_user(document), users_fields.current()
    record = {
        "id": user.id,
        "email": user.email,
        "createdAt": user.created_at,
        "disabledAt": _since(document, "disabledAt", theirs.disabled_at) if user.is_disabled else None,
        "emailVerifiedAt": _since(document, "emailVerifiedAt", theirs.email_verified_at)
        if user.email_verified
        else None,
        "language": user.language,
        "roles": [*user.roles],
        "profile": user.profile or None,
        "legacy": origin_of(document.get("legacy")),
    }
    return {name: value for name, value in record.items() if value is not None}


def _since(document: Mapping[str, Any], ours: str, theirs: str | None) -> datetime:
    """The date of our field, or else of the other app's."""
    stored = (document.get(name) for name in (ours, theirs) if name is not None)
    return next((one for one in stored if isinstance(one, datetime)), None) or now()


def _secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """Two of the times say that this service made the hash: passwords of more than 72 bytes depend on it."""
    found = {name: document[name] for name, kind in _SHAPES.items() if isinstance(document.get(name), kind)}
    password = stored_password(document).hash
    return {"password": password, **found} if isinstance(password, str) else found
