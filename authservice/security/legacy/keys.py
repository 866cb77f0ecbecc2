"""The secrets of other stacks that some of their hashes need. They are settings, never in the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FirebaseKeys:
    """The password hash parameters of one Firebase project, as its console shows them."""

    signer_key: bytes = field(repr=False)
    salt_separator: bytes
    rounds: int
    mem_cost: int


@dataclass(frozen=True)
class LegacyKeys:
    """``pepper`` is Devise's pepper and Flask-Security's SECURITY_PASSWORD_SALT."""

    pepper: bytes | None = field(default=None, repr=False)
    firebase: FirebaseKeys | None = None


def keys_of(settings: Mapping[str, Any]) -> LegacyKeys:
    """What the settings FLASK_LEGACY_* say."""
    signer_key = settings["LEGACY_FIREBASE_KEY"]
    firebase = None
    if signer_key is not None:
        firebase = FirebaseKeys(
            signer_key,
            settings["LEGACY_FIREBASE_SALT_SEPARATOR"],
            rounds=settings["LEGACY_FIREBASE_ROUNDS"],
            mem_cost=settings["LEGACY_FIREBASE_MEM_COST"],
        )
    return LegacyKeys(settings["LEGACY_PEPPER"], firebase)
