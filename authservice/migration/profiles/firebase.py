"""Firebase Authentication: what ``firebase auth:export`` writes."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles import firebase_hashes
from authservice.migration.profiles.building import build
from authservice.migration.profiles.values import at, first, parsed, since, since_at_all


def read(record: Record) -> MovedUser | Unreadable:
    claims = parsed(at(record, "customAttributes"))
    return build(
        at(record, "localId"),
        at(record, "email"),
        firebase_hashes.read(at(record, "salt"), at(record, "passwordHash")),
        verified=since(at(record, "emailVerified")),
        disabled=since_at_all(at(record, "disabled")),
        created=at(record, "createdAt"),
        roles=first(claims, "roles", "role"),
    )


def _of_provider(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{column}" for column in ("id", "email", "displayName", "photoUrl"))


# Source: firebase-tools, accountExporter.ts. Each line ends with a comma, so the last column is empty.
_HEADER = (
    *("localId", "email", "emailVerified", "passwordHash", "salt", "displayName", "photoUrl"),
    *(column for name in ("google", "facebook", "twitter", "github") for column in _of_provider(name)),
    *("createdAt", "lastSignedInAt", "phoneNumber", "disabled", "customAttributes", "empty"),
)

PROFILE = Profile("firebase", "Firebase Authentication", read, array="users", csv_header=_HEADER)
