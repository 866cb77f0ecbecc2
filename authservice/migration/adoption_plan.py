"""What adopting a collection would do. Reads every document, and writes nothing."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from authservice.migration.adoption import Adoption, adoption_of, is_adopted, is_from_here
from authservice.migration.moved import Profile, Unreadable
from authservice.security import emails, legacy
from authservice.security.legacy.legacy_hash import Needs
from authservice.store import adopted, adoption, imports
from authservice.store.adoption import Stored
from authservice.store.clock import now

Progress = Callable[[int], None]

IDS_SHOWN = 10
_LARGE_BYTES = 1_000_000  # adopting adds less than the document has once more; only large ones are measured
_TOO_LARGE = Unreadable("too large")


@dataclass
class Plan:
    """``unfinished`` have been moved away, but not back among the users yet: a run was stopped.

    ``written``, ``replaced``, ``renamed`` and ``theirs`` count documents by the name of a field: of ours; of theirs
    that gets a value of ours; of theirs that gets another name; of theirs that this service reads as its own.
    ``contested``: e-mails that several documents have, with the ids of these.
    ``finds_passwords``: whether the profile finds one in any document, or found one when it was adopted. If it finds
    none, it may be the wrong profile.
    """

    profile: Profile
    moment: datetime
    would: int = 0
    moves: int = 0
    here: int = 0
    unfinished: int = 0
    without_email: int = 0
    without_password: int = 0
    finds_passwords: bool = False
    written: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    renamed: Counter[tuple[str, str]] = field(default_factory=Counter)
    theirs: Counter[str] = field(default_factory=Counter)
    needs: Counter[Needs] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    unreadable_ids: dict[str, list[Any]] = field(default_factory=dict)
    contested: Mapping[str, list[Any]] = field(default_factory=dict)

    def read(self, stored: Stored) -> Adoption | Unreadable | None:
        """None for a user of this service, and for a document that is no user."""
        if is_from_here(stored.fields):
            return None
        found = adoption_of(self.profile, stored.fields, self.moment)
        if isinstance(found, Adoption) and len(stored.raw.raw) > _LARGE_BYTES and not _fits(stored, found):
            return _TOO_LARGE
        return found

    def adoptions(self, page: Iterable[Stored]) -> list[tuple[Stored, Adoption]]:
        """Those of the page that become ours."""
        found = ((stored, self.read(stored)) for stored in page)
        return [
            (stored, one)
            for stored, one in found
            if isinstance(one, Adoption) and not any(email in self.contested for email in _emails_of(stored, one))
        ]

    def _count(self, stored: Stored, found: Adoption | Unreadable | None) -> None:
        if found is None:
            self.here += is_from_here(stored.fields)
            self.finds_passwords |= self._was_found_with_password(stored)
            self.without_email += stored.fields.get("email") is None
        elif isinstance(found, Adoption):
            self._count_adoption(stored, found, 1)
            self.finds_passwords |= found.user.password is not None
        else:
            self.without_email += stored.fields.get("email") is None
            self.unreadable[found.reason] += 1
            ids = self.unreadable_ids.setdefault(found.reason, [])
            if len(ids) < IDS_SHOWN:
                ids.append(stored.id)

    def _was_found_with_password(self, stored: Stored) -> bool:
        return is_adopted(self.profile, stored.fields) and isinstance(stored.fields.get("password"), str)

    def _count_adoption(self, stored: Stored, found: Adoption, step: int) -> None:
        """``step``: -1 takes it back."""
        self.would += step
        self.moves += 0 if stored.has_usable_id else step
        self.without_password += step if found.user.password is None else 0
        renamed = found.legacy.get("renamed", {})
        self.renamed.update(dict.fromkeys(renamed.items(), step))
        for name in found.wrote.keys() - {*renamed, *renamed.values()}:
            (self.replaced if name in stored.fields else self.written)[name] += step
        self.theirs.update({name: step for name in found.legacy.get("theirs", ()) if stored.fields.get(name)})
        parsed = legacy.parse(found.user.password) if found.user.password else None
        if parsed is not None and parsed.needs:
            self.needs[parsed.needs] += step

    def _take_out(self, contested: Mapping[str, list[tuple[Stored, Adoption | Unreadable | None]]]) -> None:
        self.contested = {email: [stored.id for stored, _ in several] for email, several in contested.items()}
        out = {stored.id: (stored, found) for several in contested.values() for stored, found in several}
        for stored, found in out.values():
            if isinstance(found, Adoption):
                self._count_adoption(stored, found, -1)
                self.without_email += stored.fields.get("email") is None


def look(profile: Profile, progress: Progress) -> Plan:
    """``progress`` is told how many documents were read since the last time."""
    plan = Plan(profile, now())
    hashes = array("q")  # 8 MB for a million users
    for page in adoption.pages():
        for stored in page:
            found = plan.read(stored)
            plan._count(stored, found)
            hashes.extend(hash(email) for email in _emails_of(stored, found))
        progress(len(page))
    if twice := _twice(hashes):
        plan._take_out(_contested(plan, twice))
    for entries in adopted.entries(profile.name, but_moved=True):
        plan.unfinished += sum(not one.is_back for one in entries)
    return plan


def _fits(stored: Stored, found: Adoption) -> bool:
    """Whether MongoDB can store what it becomes, and a copy of what it is."""
    return all(imports.size_of(one) is not None for one in (stored.fields, {**stored.fields, **found.wrote}))


def _emails_of(stored: Stored, found: Adoption | Unreadable | None) -> set[str]:
    """The e-mails that a document takes in the one namespace, also a document that is not adopted."""
    held = {emails.folded(found.email)} if isinstance(found, Adoption) else set()
    if isinstance(email := stored.fields.get("email"), str):
        held.add(emails.folded(emails.normal_form(email)))
    former = stored.fields.get("formerEmails") if found is None else None
    for one in former if isinstance(former, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get("email"), str) and _is_reserved(one.get("until")):
            held.add(emails.folded(emails.normal_form(one["email"])))
    return held


def _is_reserved(until: object) -> bool:
    return isinstance(until, datetime) and until > now()


def _twice(hashes: Iterable[int]) -> set[int]:
    return {one for one, following in pairwise(sorted(hashes)) if one == following}


def _contested(plan: Plan, twice: set[int]) -> dict[str, list[tuple[Stored, Adoption | Unreadable | None]]]:
    """Reads a second time, for the documents behind the hashes."""
    holders: dict[str, list[tuple[Stored, Adoption | Unreadable | None]]] = {}
    for page in adoption.pages():
        for stored in page:
            found = plan.read(stored)
            for email in _emails_of(stored, found):
                if hash(email) in twice:
                    holders.setdefault(email, []).append((stored, found))
    return {
        email: several
        for email, several in holders.items()
        if len(several) > 1 and any(isinstance(found, Adoption) for _, found in several)
    }
