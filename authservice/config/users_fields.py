"""FLASK_USERS_FIELDS: the names under which another app keeps what we keep under ours."""

import re
from dataclasses import dataclass

_EXAMPLE = "password=encrypted_password,emailVerifiedAt=confirmed_at"
_OF_OURS = {"password": "password", "disabledAt": "disabled_at", "emailVerifiedAt": "email_verified_at"}
# Fields of our document, as the docstring of store/users.py lists them. Another app's field cannot have such a name.
OUR_FIELDS = frozenset(
    {"_id", "email", "password", "createdAt", "passwordChangedAt", "passwordRenewedAt", "roles", "disabledAt"}
    | {"emailVerifiedAt", "language", "sessions", "devices", "mails", "emailChange", "formerEmails", "verification"}
    | {"twoStep", "passkeys", "passkeyChallengeAt", "profile", "legacy"}
)


@dataclass(frozen=True, slots=True)
class UsersFields:
    """The other app's name of each field that is mapped; None for the others."""

    password: str | None = None
    disabled_at: str | None = None
    email_verified_at: str | None = None


def parse(text: str) -> UsersFields:
    """Raises ValueError, which names the first fault."""
    found: dict[str, str] = {}
    for pair in text.split(","):
        ours, separator, theirs = (part.strip() for part in pair.partition("="))
        if not separator:
            raise ValueError(f"must be pairs separated by commas, such as {_EXAMPLE}, not {pair[:60]!r}")
        if ours not in _OF_OURS:
            raise ValueError(f"can map {', '.join(_OF_OURS)} and no other field, not {ours[:60]!r}")
        if not re.fullmatch(r"[\w-]{1,100}", theirs):
            raise ValueError(
                f"must map {ours} to a field at the top of the document, such as encrypted_password, "
                f"not to {theirs[:60]!r}"
            )
        if theirs in OUR_FIELDS:
            raise ValueError(f"must not map {ours} to {theirs}: this service has a field of that name")
        if ours in found:
            raise ValueError(f"maps {ours} twice; once is enough")
        if theirs in found.values():
            raise ValueError(f"maps two fields to {theirs}; each needs one of its own")
        found[ours] = theirs
    return UsersFields(**{_OF_OURS[ours]: theirs for ours, theirs in found.items()})
