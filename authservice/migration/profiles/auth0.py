"""Auth0: the export with password hashes that its support makes, and exports without, which lack passwords."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import self_describing
from authservice.migration.profiles.values import at, first, since, since_at_all


def read(record: Record) -> MovedUser | Unreadable:
    return build(
        first(record, "_id", "user_id", "Id"),
        first(record, "email", "Email"),
        self_describing(first(record, "passwordHash", "password_hash")),
        verified=since(first(record, "email_verified", "Email Verified")),
        disabled=since_at_all(at(record, "blocked")),
        created=first(record, "created_at", "Created At"),
        roles=first(record, "app_metadata.roles", "app_metadata.role"),
    )


PROFILE = Profile(
    "auth0",
    "Auth0",
    read,
    why_empty="Exports of Auth0's dashboard and API have no passwords. Its support makes one that has, when asked.",
)
