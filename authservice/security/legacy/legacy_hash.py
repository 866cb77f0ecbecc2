"""What can be done with another stack's hash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from authservice.security.legacy.keys import LegacyKeys

Needs = Literal["pepper", "firebase key"]
SETTING_OF: Mapping[Needs, str] = {"pepper": "LEGACY_PEPPER", "firebase key": "LEGACY_FIREBASE_KEY"}


@dataclass(frozen=True)
class LegacyHash:
    """``cost`` is for people. ``dear`` ranks hashes by the CPU of a refusal: milliseconds of a reference machine."""

    scheme: str
    cost: str
    needs: Needs | None
    dear: float
    verify: Callable[[str, LegacyKeys], bool] = field(repr=False, compare=False)

    def matches(self, password: str, keys: LegacyKeys) -> bool:
        """Whether the password is right. Every wrong one takes as long; a missing key is no work at all."""
        # bcrypt ends a password at a NUL, and HMAC keys may end with any number of them
        return "\0" not in password and self.verify(password, keys)
