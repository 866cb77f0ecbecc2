"""What adopting writes into one document of another stack, and what takes it back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from authservice.migration.moved import MovedUser, Profile, Unreadable
from authservice.migration.preparing import WORK_FROM_MS
from authservice.security import emails, legacy

Document = Mapping[str, Any]

# What only this service writes. Under these names another stack may keep something of its own.
OURS = (
    *("sessions", "devices", "passwordChangedAt", "passwordRenewedAt", "emailVerifiedAt", "disabledAt", "roles"),
    *("mails", "verification", "emailChange", "formerEmails", "twoStep", "passkeys", "passkeyChallengeAt"),
    *("language", "profile"),
)
_ANY_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
NO_ADDRESS = Unreadable("invalid e-mail")


@dataclass(frozen=True)
class Adoption:
    """One document that becomes ours. ``wrote`` are its new fields, ``legacy`` among them.

    legacy: { key, from, id, work?,
              added: [names],               <- in every document that was adopted, if empty; in no imported one
              was?: {name: value there},
              theirs?: [names of ours whose values stay theirs],
              renamed?: {name: new name} }
    """

    document: Document
    user: MovedUser
    email: str
    wrote: Mapping[str, Any]

    @property
    def legacy(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.wrote["legacy"]
        return found


def adoption_of(profile: Profile, document: Document, moment: datetime) -> Adoption | Unreadable | None:
    """``moment`` stands for dates that the other stack does not keep. None if the document is no user."""
    user = profile.read(document)
    if user is None or isinstance(user, Unreadable):
        return user
    address = emails.read(user.email)
    if address is None:
        return NO_ADDRESS
    email = address.normal
    renamed = {name: _new_name(profile, name) for name in names_in_the_way(profile, document)}
    for new_name in renamed.values():
        if new_name in document:
            return Unreadable(f"it has a field {new_name} already")
    wrote = {name: value for name, value in _fields(user, email, moment, document).items() if name not in renamed}
    was = {name: document[name] for name in (*wrote, "legacy") if name in document}
    for name, new_name in renamed.items():
        wrote |= {new_name: document[name], name: _nothing_like(document[name])}
    known: dict[str, Any] = {"key": f"{profile.name}:{user.id}", "from": profile.name, "id": user.id}
    if (work := _work(wrote.get("password", user.password))) is not None:
        known["work"] = work
    known["added"] = [name for name in wrote if name not in document]
    theirs = [name for name in OURS if name in document and name not in wrote]
    known |= {name: value for name, value in (("was", was), ("theirs", theirs), ("renamed", renamed)) if value}
    return Adoption(document, user, email, {**wrote, "legacy": known})


def names_in_the_way(profile: Profile, document: Document) -> list[str]:
    """Fields that have our name and another meaning. Whatever the stack, sessions that are not ours would be lost."""
    return [
        name
        for name in dict.fromkeys(("sessions", *profile.replaces))
        if document.get(name) and not (name == "sessions" and _are_our_sessions(document[name]))
    ]


def is_from_here(document: Document) -> bool:
    """Whether the user signed up here, signed in here before, was imported or adopted.

    Other stacks have a passwordChangedAt too, but no sessions like ours beside it.
    """
    known = document.get("legacy")
    if isinstance(known, Mapping) and isinstance(known.get("key"), str) and isinstance(known.get("from"), str):
        return True
    has_time = any(isinstance(document.get(name), datetime) for name in ("passwordChangedAt", "passwordRenewedAt"))
    return has_time and _are_our_sessions(document.get("sessions"))


def is_adopted(profile: Profile, document: Document) -> bool:
    known = document.get("legacy")
    return isinstance(known, Mapping) and known.get("from") == profile.name and isinstance(known.get("added"), list)


def way_back(document: Document) -> tuple[dict[str, Any], list[str]]:
    """What to set in an adopted document and which names to unset, so that it is as it was."""
    known = document["legacy"]
    restored = {**known.get("was", {})}
    restored |= {name: document.get(new_name) for name, new_name in known.get("renamed", {}).items()}
    return restored, [name for name in (*known["added"], "legacy") if name not in restored]


def as_it_was(document: Document) -> dict[str, Any]:
    restored, unset = way_back(document)
    return {name: value for name, value in {**document, **restored}.items() if name not in unset}


def is_untouched(profile: Profile, document: Document) -> bool:
    """Whether an adopted user has neither signed in nor changed in anything that adopting wrote."""
    known = document["legacy"]
    was, renamed = known.get("was", {}), known.get("renamed", {})
    expected = {*known["added"], *known.get("theirs", ()), *was, *renamed}
    if any(name not in document for name in known["added"]) or any(
        name in document and name not in expected for name in OURS
    ):
        return False
    if any(document.get(name) for name in renamed):
        return False
    # The other app may have written a field that adopting had replaced. Its moments alone cannot be told again.
    replaced = [name for name in ("email", "password") if name in was]
    again = adoption_of(profile, as_it_was(document), _ANY_MOMENT) if replaced else None
    return again is None or (
        isinstance(again, Adoption) and all(document.get(name) == again.wrote.get(name) for name in replaced)
    )


def _fields(user: MovedUser, email: str, moment: datetime, document: Document) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if document.get("email") != email:
        wanted["email"] = email
    if user.password is not None and document.get("password") != user.password:
        wanted["password"] = user.password
    if user.email_verified_at and not isinstance(document.get("emailVerifiedAt"), datetime):
        wanted["emailVerifiedAt"] = moment if user.email_verified_at is True else user.email_verified_at
    if user.disabled_at and document.get("disabledAt") is None:
        wanted["disabledAt"] = moment if user.disabled_at is True else user.disabled_at
    if user.created_at and "createdAt" not in document:
        wanted["createdAt"] = user.created_at
    return wanted


def _new_name(profile: Profile, name: str) -> str:
    """payloadSessions, betterAuthSessions."""
    prefix = re.sub(r"-(.)", lambda found: found[1].upper(), profile.name)
    return f"{prefix}{name[0].upper()}{name[1:]}"


def _nothing_like(value: object) -> Any:
    return [] if isinstance(value, list) else {} if isinstance(value, Mapping) else None


def _are_our_sessions(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) and "refreshJti" in one for one in value)


def _work(password: str | None) -> float | None:
    parsed = legacy.parse(password) if password is not None else None
    return parsed.dear if parsed is not None and parsed.dear >= WORK_FROM_MS else None
