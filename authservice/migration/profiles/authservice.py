"""This service: what ``users export`` writes, in extended JSON."""

from datetime import datetime

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.hashes import MALFORMED, Hash, checked, self_describing
from authservice.migration.profiles.values import at, decoded, first, moment, since_at_all, text

# With their types here. Other types are dropped, so the import never stores a document that this service would not
# write.
# Two of them say that the hash is ours: a password of more than 72 bytes is prepared for bcrypt in another way then.
_MORE: dict[str, type] = {
    **dict.fromkeys(("passwordChangedAt", "passwordRenewedAt"), datetime),
    **dict.fromkeys(("profile", "twoStep", "legacy"), dict),
    "language": str,
    "passkeys": list,
}


def read(record: Record) -> MovedUser | Unreadable:
    more = {name: value for name, kind in _MORE.items() if isinstance(value := decoded(at(record, name)), kind)}
    return build(
        first(record, "_id", "id"),
        at(record, "email"),
        _password(at(record, "password")),
        verified=moment(at(record, "emailVerifiedAt")),
        disabled=since_at_all(at(record, "disabledAt")),
        created=at(record, "createdAt"),
        roles=at(record, "roles"),
        more=more,
    )


def _password(stored: object) -> Hash:
    found = text(stored)
    if found is None or found.startswith(("!", "$2")):
        return self_describing(stored)
    return checked(found) if found.startswith("$") else MALFORMED


PROFILE = Profile("authservice", "This service", read, why_empty="Passwords are in the export only with --with-hashes.")
