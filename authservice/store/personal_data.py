"""All that the user's document keeps about its user and may show, for the user's own copy.

What is kept under the names below in another shape is another stack's, and None here. What is not named is a secret, or
of use only to somebody who steals the copy: hashes, ids that go into links, tokens and challenges, and counters of
guesses. A field that is added to the document gets its place here, or among the secrets of the test.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.store.resilience import asks_database
from authservice.store.users import collection

_Shape = Mapping[str, type]
OF_ACCOUNT: _Shape = {"emailVerifiedAt": datetime, "passwordChangedAt": datetime, "passwordRenewedAt": datetime}
LISTS: Mapping[str, _Shape] = {
    "sessions": {
        "id": str,
        "createdAt": datetime,
        "authenticatedAt": datetime,
        "rotatedAt": datetime,
        "lastUsedAt": datetime,
        "expiresAt": datetime,
        "userAgent": str,
        "ip": str,
        "deviceId": str,
        "amr": list,
    },
    "devices": {"id": str, "label": str, "firstSeenAt": datetime, "lastSeenAt": datetime},
    "mails": {
        "kind": str,
        "to": str,
        "language": str,
        "facts": dict,
        "at": datetime,
        "due": datetime,
        "tries": int,
    },
    "formerEmails": {"email": str, "at": datetime, "until": datetime},
    "passkeys": {
        "id": bytes,
        "name": str,
        "transports": list,
        "isSynced": bool,
        "createdAt": datetime,
        "lastUsedAt": datetime,
    },
}
OBJECTS: Mapping[str, _Shape] = {
    "emailChange": {"to": str, "at": datetime},
    "verification": {"to": str, "at": datetime},
}
OF_LEGACY: _Shape = {"from": str, "id": str}
OF_WAS: _Shape = {"email": str}  # its other members are the hash, and what only the other app can tell the meaning of
OF_TWO_STEP: _Shape = {"recoveryCodesAt": datetime, "failures": int, "blockedUntil": datetime}


@asks_database
def find(user_id: str) -> dict[str, Any]:
    """By the names in the document. ``twoStep`` says since when there is an app, and how many codes are left."""
    names = (*OF_ACCOUNT, *LISTS, *OBJECTS, "legacy", "twoStep")
    document = collection().find_one({"_id": ObjectId(user_id)}, dict.fromkeys(names, 1)) or {}
    found: dict[str, Any] = _picked(document, OF_ACCOUNT)
    for name, shape in LISTS.items():
        entries = document.get(name)
        found[name] = [
            _picked(entry, shape) for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict)
        ]
    for name, shape in OBJECTS.items():
        found[name] = _picked(document[name], shape) if isinstance(document.get(name), dict) else None
    found["legacy"] = _legacy(document["legacy"]) if isinstance(document.get("legacy"), dict) else None
    found["twoStep"] = _two_step(document["twoStep"]) if isinstance(document.get("twoStep"), dict) else None
    return found


def _picked(stored: Mapping[str, Any], shape: _Shape) -> dict[str, Any]:
    return {name: _shown(stored.get(name), kind) for name, kind in shape.items()}


def _shown(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        return None
    if isinstance(value, bytes):
        return urlsafe_b64encode(value).rstrip(b"=").decode()
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str)]
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if isinstance(one, (str, int, bool))}
    return value


def _legacy(stored: Mapping[str, Any]) -> dict[str, Any]:
    was = stored.get("was")
    return {**_picked(stored, OF_LEGACY), "was": _picked(was, OF_WAS) if isinstance(was, dict) else None}


def _two_step(stored: Mapping[str, Any]) -> dict[str, Any]:
    app, pending, codes = (stored.get(name) for name in ("totp", "pendingTotp", "recoveryCodes"))
    return {
        "enrolledAt": _shown(app.get("confirmedAt"), datetime) if isinstance(app, dict) else None,
        "setUpAt": _shown(pending.get("at"), datetime) if isinstance(pending, dict) else None,
        **_picked(stored, OF_TWO_STEP),
        "recoveryCodes": len(codes) if isinstance(codes, list) else 0,
    }
