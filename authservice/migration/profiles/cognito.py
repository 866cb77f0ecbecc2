"""Amazon Cognito, which gives out no passwords: users come in by a reset by mail."""

from authservice.migration.moved import MovedUser, Profile, Record, Unreadable
from authservice.migration.profiles.building import build
from authservice.migration.profiles.values import at, first, is_false, is_true, items


def read(record: Record) -> MovedUser | Unreadable:
    attributes = {name: at(one, "Value") for one in items(at(record, "Attributes")) if (name := _name(one))}
    values = {**record, **attributes}
    return build(
        first(values, "sub", "cognito:username", "Username"),
        first(values, "email"),
        None,
        verified=is_true(first(values, "email_verified")) or None,
        disabled=("Enabled" in record and is_false(record["Enabled"])) or None,
        created=at(record, "UserCreateDate"),
    )


def _name(attribute: object) -> str | None:
    name = at(attribute, "Name")
    return name if isinstance(name, str) else None


PROFILE = Profile("cognito", "Amazon Cognito", read, array="Users", has_passwords=False)
