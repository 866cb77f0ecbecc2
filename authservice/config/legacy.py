"""The settings that some hashes of other stacks need. No message repeats a secret."""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any

from authservice.config.setting import Setting, integer

PEPPER_MAX_BYTES = 1_024
SIGNER_KEY_BYTES = range(32, 129)  # Firebase makes 64
SALT_SEPARATOR_BYTES = range(65)  # Firebase has 1


def _pepper(text: str) -> bytes:
    pepper = text.encode("utf-8", "surrogateescape")
    if not 1 <= len(pepper) <= PEPPER_MAX_BYTES:
        raise ValueError(f"must have 1 to {PEPPER_MAX_BYTES} bytes, not {len(pepper)}")
    return pepper


def _base64(lengths: range) -> Callable[[str], bytes]:
    def parse(text: str) -> bytes:
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raw = None
        if raw is None or base64.b64encode(raw).decode() != text or len(raw) not in lengths:
            raise ValueError(
                f"must be {lengths[0]} to {lengths[-1]} bytes in base64, as in the password hash parameters of Firebase"
            )
        return raw

    return parse


_FIREBASE_PARAMETERS = (
    Setting(
        "LEGACY_FIREBASE_SALT_SEPARATOR",
        _base64(SALT_SEPARATOR_BYTES),
        "Bw==",
        "`base64_salt_separator` of that project",
    ),
    Setting("LEGACY_FIREBASE_ROUNDS", integer(1, 8), "8", "`rounds` of that project"),
    Setting("LEGACY_FIREBASE_MEM_COST", integer(1, 14), "14", "`mem_cost` of that project"),
)
LEGACY_SETTINGS = (
    Setting(
        "LEGACY_PEPPER",
        _pepper,
        None,
        "Devise's pepper or Flask-Security's `SECURITY_PASSWORD_SALT`, for the users that came from there; its file is "
        "for its owner alone (0600)",
        is_private=True,
    ),
    Setting(
        "LEGACY_FIREBASE_KEY",
        _base64(SIGNER_KEY_BYTES),
        None,
        "`base64_signer_key` of the Firebase project that users came from; its file is for its owner alone (0600)",
        is_private=True,
    ),
    *_FIREBASE_PARAMETERS,
)


def faults_of(values: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """One sentence for each parameter of a Firebase project that is of no use without its key."""
    if "LEGACY_FIREBASE_KEY" in given:
        return []
    return [
        f"FLASK_LEGACY_FIREBASE_KEY is required with FLASK_{setting.name}"
        for setting in _FIREBASE_PARAMETERS
        if values[setting.name] not in (None, setting.parse(setting.default or ""))
    ]
