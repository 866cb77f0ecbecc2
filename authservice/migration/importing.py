"""Imports users of other stacks, batch by batch: what is here stays as it is, so running it again resumes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from authservice.migration.feed import FaultyExport
from authservice.migration.moved import Profile, Unreadable
from authservice.migration.preparing import Candidate, prepare
from authservice.migration.reading import TOO_DEEP, Found
from authservice.migration.seen import Seen
from authservice.security import emails
from authservice.store import imports
from authservice.store.clock import now
from authservice.store.imports import Fate

BATCH = 1_000
MANY = 100  # users: fewer without a password are put right by hand
BATCH_BYTES = 4_000_000  # or one document more


class Judged(NamedTuple):
    """What became of the record there; None if it is of no use. ``user`` is what was or would be stored."""

    file: str
    line: int
    outcome: Fate | Unreadable | None
    user: Candidate | None = None


class NoPasswords(Exception):
    """None of many users has a password: the profile is the wrong one, or a file is missing."""

    def __init__(self, users: int) -> None:
        self.users = users


@dataclass(frozen=True)
class Import:
    """How to import. ``seen`` is for a dry run, which writes nothing and foretells the same."""

    profile: Profile
    with_roles: bool
    needs_passwords: bool
    seen: Seen | None

    def run(self, found: Iterable[Found]) -> Iterator[Judged]:
        """Raises DatabaseUnavailable, NoPasswords, and FaultyExport after what came before the fault."""
        moment = now()
        fault: list[FaultyExport] = []
        records = _until_fault(found, fault)
        without, looks = 0, self.needs_passwords
        while batch := self._batch(records, moment):
            users = [one.user for one in batch if one.user]
            looks = looks and not any(user.has_password for user in users)
            without += len(users)
            if looks and without >= MANY:
                raise NoPasswords(without)
            yield from self._judge(batch)
        if fault:
            raise fault[0]

    def _batch(self, records: Iterator[Found], moment: datetime) -> list[Judged]:
        """The next ones, whose users have no outcome yet. Records do not wait in it: they may be big."""
        batch: list[Judged] = []
        size = 0
        for found in islice(records, BATCH):
            user = self._prepared(found, moment)
            if isinstance(user, Candidate):
                batch.append(Judged(found.file, found.line, None, user))
                size += user.size
            else:
                batch.append(Judged(found.file, found.line, user))
            if size >= BATCH_BYTES:
                break
        return batch

    def _judge(self, batch: Sequence[Judged]) -> list[Judged]:
        fates = iter(self._fates([one.user for one in batch if one.user]))
        return [one._replace(outcome=next(fates)) if one.user else one for one in batch]

    def _prepared(self, found: Found, moment: datetime) -> Candidate | Unreadable | None:
        if found.record is None or isinstance(found.record, Unreadable):
            return found.record
        try:
            moved = self.profile.read(found.record)
        except RecursionError:
            return TOO_DEEP
        if moved is None or isinstance(moved, Unreadable):
            return moved
        return prepare(moved, self.profile, moment, with_roles=self.with_roles)

    def _fates(self, users: Sequence[Candidate]) -> list[Fate]:
        if not users:
            return []
        keys = imports.keys_here({user.key for user in users})
        ids = imports.ids_here({user.kept_id for user in users if user.kept_id and user.key not in keys})
        with_id = [keys.get(user.key) or (ids.get(user.kept_id) if user.kept_id else None) for user in users]
        new = [user for user, document in zip(users, with_id, strict=True) if document is None]
        asked = [spelling for user in new for spelling in user.spellings]
        taken = {emails.folded(email) for email in imports.taken(asked)} if asked else set()
        fates: list[Fate | None] = []
        for user, document in zip(users, with_id, strict=True):
            if document is not None:
                fates.append(Fate.HERE if _is_of(user, document) else Fate.OTHER_EMAIL)
            elif any(emails.folded(spelling) in taken for spelling in user.spellings):
                fates.append(Fate.TAKEN)
            else:
                fates.append(self._foretold(user))
        new = [user for user, fate in zip(users, fates, strict=True) if fate is None]
        written = iter(imports.insert([user.document for user in new]) if new else ())
        return [fate or next(written) for fate in fates]

    def _foretold(self, user: Candidate) -> Fate | None:
        """None if the write is to decide."""
        if self.seen is None:
            return None
        email = emails.folded(user.document["email"])
        if self.seen.add(user.key, email):
            return Fate.IMPORTED
        known = self.seen.email_of(user.key)
        if known is None:
            return Fate.TAKEN
        return Fate.HERE if known == email else Fate.OTHER_EMAIL


def _is_of(user: Candidate, document: Mapping[str, Any]) -> bool:
    """Whether the document with the user's id is the user's, and not that of a second app that counts from 1 as well.

    A user who has changed the e-mail here had the record's before. A document without an e-mail counts as the user's.
    """
    former = document.get("formerEmails")
    before = [one.get("email") for one in former if isinstance(one, dict)] if isinstance(former, list) else []
    had = [email for email in (document.get("email"), *before) if isinstance(email, str)]
    own = {emails.folded(spelling) for spelling in user.spellings}
    return not had or any(emails.folded(one) in own or emails.folded(emails.normal_form(one)) in own for one in had)


def import_users(
    profile: Profile, found: Iterable[Found], *, with_roles: bool, needs_passwords: bool = False
) -> Iterator[Judged]:
    """Call it once the indexes are there. ``needs_passwords``: stop if there are many users and none has one."""
    return Import(profile, with_roles, needs_passwords, seen=None).run(found)


def foretell(
    profile: Profile, found: Iterable[Found], *, with_roles: bool, needs_passwords: bool = False
) -> Iterator[Judged]:
    """What ``import_users`` would do. Writes nothing to the database."""
    with closing(Seen()) as seen:
        yield from Import(profile, with_roles, needs_passwords, seen).run(found)


def _until_fault(found: Iterable[Found], fault: list[FaultyExport]) -> Iterator[Found]:
    try:
        yield from found
    except FaultyExport as error:
        fault.append(error)
