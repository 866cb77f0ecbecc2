"""What adopting writes into one document of another stack, and what takes it back."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from bson import ObjectId

from authservice.migration.moved import MovedUser, Profile, Unreadable
from authservice.migration.preparing import read_hash, work_of
from authservice.security import emails

Document = Mapping[str, Any]

# What only this service writes. Under these names another stack may keep something of its own, and an app may let
# its clients write it. So none of it counts here, unless the profile says so.
OURS = (
    *("sessions", "devices", "passwordChangedAt", "passwordRenewedAt", "emailVerifiedAt", "disabledAt", "roles"),
    *("mails", "verification", "emailChange", "formerEmails", "twoStep", "passkeys", "passkeyChallengeAt"),
    *("language", "profile"),
)
_REPLACED = ("email", "password", "createdAt", "emailVerifiedAt", "disabledAt")
_SHAPE = {"key", "from", "id", "work", "added", "was", "theirs", "renamed"}
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
    renamed = {name: _new_name(profile, name) for name in _in_the_way(profile, document, user)}
    for new_name in renamed.values():
        if new_name in document:
            return Unreadable(f"it has a field {new_name} already")
    wrote = {name: value for name, value in _fields(user, email, moment, document).items() if name not in renamed}
    was = {name: document[name] for name in (*wrote, "legacy") if name in document}
    for name, new_name in renamed.items():
        wrote |= {new_name: document[name], name: _nothing_like(document[name])}
    known: dict[str, Any] = {"key": f"{profile.name}:{user.id}", "from": profile.name, "id": user.id}
    if (work := work_of(read_hash(wrote.get("password", user.password)))) is not None:
        known["work"] = work
    known["added"] = [name for name in wrote if name not in document]
    theirs = [name for name in OURS if name in document and name not in wrote]
    known |= {name: value for name, value in (("was", was), ("theirs", theirs), ("renamed", renamed)) if value}
    return Adoption(document, user, email, {**wrote, "legacy": known})


def _in_the_way(profile: Profile, document: Document, user: MovedUser) -> list[str]:
    """Fields that have our name, and do not mean the same for certain.

    What disables a user goes on doing so. A date of the proof counts if the profile itself finds the e-mail verified.
    """
    same = {*profile.keeps, "disabledAt", *(("emailVerifiedAt",) if user.email_verified_at else ())}
    return [name for name in OURS if document.get(name) and (name not in same or name in profile.replaces)]


def is_from_here(document: Document) -> bool:
    """Whether the user signed up here, signed in here before, was imported or adopted.

    Other stacks have a passwordChangedAt too, but no sessions like ours beside it. An app that lets its clients write
    any field cannot be told from this service, but ids of other types never are of this service.
    """
    if not isinstance(document.get("_id"), ObjectId):
        return False
    if _is_our_legacy(document.get("legacy")):
        return True
    has_time = any(isinstance(document.get(name), datetime) for name in ("passwordChangedAt", "passwordRenewedAt"))
    return has_time and _are_our_sessions(document.get("sessions"))


def is_adopted(profile: Profile, document: Document) -> bool:
    """Whether ``legacy`` is as adopting writes it. Anything else may be the other app's, and is not acted on."""
    known = document.get("legacy")
    if not _is_our_legacy(known) or known["from"] != profile.name or not isinstance(document.get("_id"), ObjectId):
        return False
    was, renamed = known.get("was", {}), known.get("renamed", {})
    if not isinstance(was, Mapping) or not isinstance(renamed, Mapping):
        return False
    new_names = {name: _new_name(profile, name) for name in OURS}
    return (
        _are_names(known.get("added"), {*_REPLACED, *new_names.values()})
        and _are_names(known.get("theirs", []), OURS)
        and was.keys() <= {*_REPLACED, "legacy"}
        and all(name in new_names and new_names[name] == new_name for name, new_name in renamed.items())
        and {*renamed.values()} <= {*known["added"]}
    )


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
    # The other app may have written a field since that adopting wrote.
    wrote = {*known["added"], *was} - {"legacy"}
    again = adoption_of(profile, as_it_was(document), _ANY_MOMENT) if wrote else None
    return again is None or (
        isinstance(again, Adoption)
        and all(name in again.wrote and _is_written(again.wrote[name], document[name]) for name in wrote)
    )


def _is_written(value: object, stored: object) -> bool:
    """Only its dates cannot be computed again, where the other stack does not say when."""
    return value == stored or (value is _ANY_MOMENT and isinstance(stored, datetime))


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


def _is_our_legacy(known: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it has the shape that importing and adopting give it."""
    if not isinstance(known, Mapping) or not known.keys() <= _SHAPE:
        return False
    return (
        isinstance(known.get("from"), str)
        and isinstance(known.get("id"), str)
        and known.get("key") == f"{known['from']}:{known['id']}"
    )


def _are_names(value: object, known: Iterable[str]) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one in known for one in value)


def _are_our_sessions(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) and "refreshJti" in one for one in value)
