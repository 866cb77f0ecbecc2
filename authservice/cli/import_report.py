"""What an import says at its end, and the file of the records that it refused."""

import errno
import json
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from authservice.cli import counted
from authservice.migration.importing import Judged
from authservice.migration.moved import Profile, Unreadable
from authservice.migration.preparing import Candidate
from authservice.security.legacy import encode
from authservice.security.legacy.legacy_hash import SETTING_OF, Needs
from authservice.store.imports import Fate

_TAKEN, _OTHER_EMAIL = "e-mail taken", "already here with another e-mail"
_REASONS = {Fate.TAKEN: _TAKEN, Fate.OTHER_EMAIL: _OTHER_EMAIL}
_GRANT = "authservice users grant EMAIL ROLE"
_REFUSED = "refused by the database"


@dataclass
class Report:
    """Counts what becomes of the records."""

    profile: Profile
    fates: Counter[Fate] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # of the unreadable ones
    skipped: int = 0
    without_password: int = 0  # of the imported, as the next ones
    with_lost_roles: int = 0
    with_unasked_roles: int = 0
    with_roles_here: int = 0  # of those already here, if roles were asked for
    needs: Counter[Needs] = field(default_factory=Counter)
    of_devise: int = 0  # they need the pepper, if there is one
    has_passwords: bool = False

    def count(self, judged: Judged) -> str | None:
        """Why the record is not imported; None if it is, or was before."""
        if judged.outcome is None:
            self.skipped += 1
            return None
        if isinstance(judged.outcome, Unreadable):
            self.reasons[judged.outcome.reason] += 1
            return judged.outcome.reason
        if judged.outcome is Fate.REFUSED:
            self.reasons[_REFUSED] += 1
            return _REFUSED
        self.fates[judged.outcome] += 1
        if judged.user:
            self.has_passwords |= judged.user.has_password
            if judged.outcome is Fate.IMPORTED:
                self.without_password += not judged.user.has_password
                self.with_lost_roles += judged.user.lost_roles
                self.with_unasked_roles += judged.user.unasked_roles
                self._count_needs(judged.user)
            elif judged.outcome is Fate.HERE:
                self.with_roles_here += bool(judged.user.document["roles"]) or judged.user.lost_roles
        return _REASONS.get(judged.outcome)

    def _count_needs(self, user: Candidate) -> None:
        if user.document["password"].startswith(encode.devise("")):
            self.of_devise += 1
        elif user.needs:
            self.needs[user.needs] += 1

    @property
    def refused(self) -> int:
        return self.fates[Fate.TAKEN] + self.reasons.total()

    @property
    def is_empty(self) -> bool:
        return not (self.users or self.refused or self.skipped)

    @property
    def users(self) -> int:
        return self.fates.total()

    def table(self) -> Iterator[str]:
        other = self.fates[Fate.OTHER_EMAIL]
        rows = [
            ("imported", self.fates[Fate.IMPORTED]),
            ("already here", self.fates[Fate.HERE] + other),
            *([("  with another e-mail", other)] if other else []),
            (_TAKEN, self.fates[Fate.TAKEN]),
            ("unreadable", self.reasons.total()),
            *((f"  {reason}", count) for reason, count in self.reasons.most_common()),
            ("skipped", self.skipped),
        ]
        wide = max(len(name) for name, _ in rows)
        for name, count in rows:
            yield f"{name:<{wide}}  {count:>11,}"

    def warnings(self, missing: Collection[Needs]) -> Iterator[str]:
        """``missing``: which needs no setting meets."""
        if count := self.fates[Fate.OTHER_EMAIL]:
            have = counted(count, "user has", "users have")
            yield f"{have} the id of an account with another e-mail: not imported. Is it another app's export?"
        for need, count in self.needs.items():
            if need in missing:
                yield f"{count:,} of the imported cannot sign in before FLASK_{SETTING_OF[need]} is set."
        if self.of_devise and "pepper" in missing:
            have = counted(self.of_devise, "of the imported has a hash", "of the imported have hashes")
            yield f"{have} of Devise: if Devise has a pepper, set FLASK_{SETTING_OF['pepper']}."
        if self.without_password:
            yield f"{_have(self.without_password)} no password: they set one by mail."
        if self.with_lost_roles:
            yield f"{_have(self.with_lost_roles)} roles whose names do not fit here: left out."
        if self.with_unasked_roles:
            come = "roles, which come only with --roles, and only at the first import"
            yield f"{_have(self.with_unasked_roles)} {come}. Later: {_GRANT}."
        if self.with_roles_here:
            have = counted(self.with_roles_here, "of the users already here has", "of the users already here have")
            leaves = "An import leaves their roles here as they are"
            yield f"{have} roles in the export. {leaves}. If they lack some: {_GRANT}."
        if not self.has_passwords and self.profile.why_empty:
            yield self.profile.why_empty


def _have(count: int) -> str:
    return counted(count, "of the imported has", "of the imported have")


def no_passwords(profile: Profile, users: int) -> str:
    """A sentence without its full stop."""
    lack = f"none of the {users:,} users read so far has a password. Is --from {profile.name} right?"
    also = "If they have none there either, add --without-passwords: they set one by mail"
    return " ".join(filter(None, (lack, profile.why_empty, also)))


class Rejects:
    """One JSON object a line for each record that is refused or here with another e-mail.

    It has the place and the reason, and never the content.
    """

    def __init__(self, file: TextIO | None, *, names_files: bool) -> None:
        self._file, self._names_files = file, names_files

    def add(self, judged: Judged, reason: str) -> None:
        if self._file:
            place = {"file": judged.file} if self._names_files else {}
            self._file.write(json.dumps({**place, "line": judged.line, "reason": reason}) + "\n")


@contextmanager
def rejects(path: str | None, *, names_files: bool) -> Iterator[Rejects]:
    """Begins the file anew: a run that resumes judges every record again. Raises OSError.

    A link is not followed, and of a file that is there the mode is set: others must not choose what is overwritten, nor
    read along. It is no file that appears at the end, so that a killed run leaves what it had found.
    """
    if path is None:
        yield Rejects(None, names_files=names_files)
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise OSError(error.errno, "a symbolic link") if error.errno == errno.ELOOP else error from None
    with open(descriptor, "w", encoding="utf-8") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # not a device or a pipe
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
        yield Rejects(file, names_files=names_files)
