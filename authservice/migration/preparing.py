"""Makes the document of a user whom a profile has read."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from authservice.config import ROLE, ROLES_MAX
from authservice.migration.moved import MovedUser, Profile, Unreadable
from authservice.security import emails, legacy
from authservice.security.legacy import bcrypts
from authservice.security.legacy.inner import Inner
from authservice.security.legacy.legacy_hash import Needs
from authservice.state import current_state
from authservice.store import imports
from authservice.store.email_changes import NO_PASSWORD_MATCHES

_WORK_FROM_MS = 40  # hashes that are cheaper need not be found again
_OBJECT_ID = re.compile("[0-9a-f]{24}")
_ORIGIN = ("key", "from", "id")

_NO_EMAIL = Unreadable("invalid e-mail")
_NO_HASH = Unreadable("a hash that cannot be checked")
_NOT_STORABLE = Unreadable("not storable")


@dataclass(frozen=True)
class Candidate:
    """A user to import. ``needs``: the setting without which the password does not match."""

    document: dict[str, Any]
    spellings: tuple[str, ...]
    needs: Needs | None
    lost_roles: bool  # their names do not fit
    unasked_roles: bool
    size: int  # in bytes

    @property
    def key(self) -> str:
        return str(self.document["legacy"]["key"])

    @property
    def kept_id(self) -> ObjectId | None:
        """The id, if it is the one that the user had."""
        kept: ObjectId = self.document["_id"]
        return kept if str(kept) == self.document["legacy"]["id"] else None

    @property
    def has_password(self) -> bool:
        return bool(self.document["password"] != NO_PASSWORD_MATCHES)


def prepare(moved: MovedUser, profile: Profile, moment: datetime, *, with_roles: bool) -> Candidate | Unreadable:
    """``moment`` stands for times that the other stack does not tell.

    An id that is an ObjectId is kept, because other collections refer to it.
    """
    address = emails.read(moved.email)
    if address is None:
        return _NO_EMAIL
    hashed = read_hash(moved.password)
    if moved.password and hashed is None:
        return _NO_HASH
    kept = ObjectId(moved.id) if moved.has_own_id and _OBJECT_ID.fullmatch(moved.id) else None
    roles = [role for role in moved.roles if re.fullmatch(ROLE, role)][:ROLES_MAX] if with_roles else []
    origin = {"key": f"{profile.name}:{moved.id}", "from": profile.name, "id": moved.id}
    document = {
        **moved.more,
        "_id": kept or ObjectId(),
        "email": address.normal,
        "password": moved.password or NO_PASSWORD_MATCHES,
        "createdAt": moved.created_at or (kept.generation_time if kept else moment),
        "roles": roles,
        "sessions": [],
        "legacy": {**(origin_of(moved.more.get("legacy")) or origin)},
    }
    for name, since in (("disabledAt", moved.disabled_at), ("emailVerifiedAt", moved.email_verified_at)):
        if since:
            document[name] = moment if since is True else since
    if (work := work_of(hashed)) is not None:
        document["legacy"]["work"] = work
    size = imports.size_of(document)
    if size is None:
        return _NOT_STORABLE
    needs = hashed.needs if isinstance(hashed, legacy.LegacyHash) else None
    lost, unasked = with_roles and len(roles) < len(moved.roles), bool(moved.roles) and not with_roles
    return Candidate(document, address.spellings, needs, lost, unasked, size)


def read_hash(password: str | None) -> legacy.LegacyHash | Inner | None:
    """An ``Inner`` is plain bcrypt."""
    return (legacy.parse(password) or bcrypts.read(password)) if password else None


def work_of(hashed: legacy.LegacyHash | Inner | None) -> float | None:
    """The ``legacy.work`` of a user: None if no refusal takes longer because of this hash."""
    if hashed is None:
        return None
    if isinstance(hashed, legacy.LegacyHash):
        return hashed.dear if hashed.dear >= _WORK_FROM_MS else None
    ours = current_state().settings["BCRYPT_LOG_ROUNDS"]
    return hashed.dear if hashed.dear > bcrypts.dear_of(ours) else None


def origin_of(stored: object) -> dict[str, str] | None:
    """Where a user came from, by the ``legacy`` of a document or of an export of this service.

    An import then finds a user here who was imported before.
    """
    known = stored if isinstance(stored, dict) else {}
    origin = {name: known[name] for name in _ORIGIN if isinstance(known.get(name), str)}
    return origin if len(origin) == len(_ORIGIN) else None
