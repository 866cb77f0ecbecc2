"""Findings about e-mails: documents without one, and e-mails that belong to the same account. It reads only."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from authservice.migration.doctor import Finding, Verdict
from authservice.security import emails
from authservice.store import surveys
from authservice.store.imports import KEY_INDEX
from authservice.store.surveys import IDS_MAX, Held

_PARSED_MAX_CHARACTERS = 1_000  # parsing is quadratic in places, and what is longer is no address


@dataclass
class Documents:
    """How many there are, and the ids of the first ones."""

    number: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, id: str) -> None:
        self.number += 1
        if len(self.ids) < IDS_MAX:
            self.ids.append(id)


@dataclass
class Shared:
    """E-mails that several documents have. ``groups`` are the ids that belong together, of the first e-mails."""

    emails: int = 0
    documents: int = 0
    groups: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, ids: Iterable[str], number: int) -> None:
        self.emails += 1
        self.documents += number
        room = IDS_MAX - sum(map(len, self.groups))
        if room > 1:  # one id alone would not show what belongs together
            self.groups.append((*ids,)[:room])


@dataclass
class Emails:
    """What the questions found. ``missing`` have none, ``empty`` have a text without a character."""

    indexes: surveys.Indexes
    missing: Documents = field(default_factory=Documents)
    empty: Documents = field(default_factory=Documents)
    no_text: Documents = field(default_factory=Documents)
    padded: Documents = field(default_factory=Documents)
    alike: Shared = field(default_factory=Shared)
    in_case: Shared = field(default_factory=Shared)
    beyond_case: Shared = field(default_factory=Shared)
    fault: str | None = None  # of the temporary files


def look_at_case() -> Emails:
    """Look at the indexes, and for e-mails that differ at most in case. Raises DatabaseUnavailable."""
    found = Emails(surveys.look_at_indexes())
    if found.indexes.is_email_unique and found.indexes.is_any_case_unique:
        return found  # the database refuses them, so nothing has to be read
    for one in surveys.namesakes():
        (found.alike if one.are_alike else found.in_case).add(one.ids, one.number)
    return found


def look_beyond_case(found: Emails) -> None:
    """Look for e-mails that are missing or no text, or belong to one account beyond case. Raises DatabaseUnavailable.

    What is compared lies in a temporary database on the disk, as hashes: it need not fit into memory, and holds no
    e-mail. SQLite deletes its file as soon as it is open.
    """
    try:
        with closing(sqlite3.connect("", isolation_level=None)) as kept:
            kept.execute("PRAGMA journal_mode = OFF")
            kept.execute("CREATE TABLE held (account INTEGER, spelling INTEGER, id TEXT, UNIQUE (account, id))")
            kept.execute("BEGIN")
            for batch in surveys.unusual():
                _keep(kept, [*_compared(batch, found)])
            _read_groups(kept, found.beyond_case)
    except sqlite3.Error as error:
        found.fault = str(error)


def _compared(batch: Iterable[Held], found: Emails) -> Iterator[tuple[str, str]]:
    """The ids and e-mails to compare. It counts the documents with which nobody can sign in."""
    for held in batch:
        if held.email is None:
            found.missing.add(held.id)
        elif not isinstance(held.email, str):
            found.no_text.add(held.id)
        elif not held.email.strip():
            found.empty.add(held.id)
        else:
            if held.email != held.email.strip():
                found.padded.add(held.id)
            yield held.id, held.email


def _keep(kept: sqlite3.Connection, unusual: list[tuple[str, str]]) -> None:
    """Store their hashes, and those of users with the same e-mail in an ordinary spelling."""
    compared = [(_account_of(email), email, id) for id, email in unusual]
    ordinary = {account for account, _, _ in compared if _is_ordinary(account)}
    for one in surveys.holders([*ordinary]) if ordinary else ():
        if isinstance(one.email, str) and _is_ordinary(one.email):
            compared.append((_account_of(one.email), one.email, one.id))
    rows = [(hash(account), hash(email.lower()), id) for account, email, id in compared]
    kept.executemany("INSERT OR IGNORE INTO held VALUES (?, ?, ?)", rows)


def _account_of(email: str) -> str:
    """Equal for all spellings that belong to one account."""
    is_short = len(email) <= _PARSED_MAX_CHARACTERS
    return emails.folded(emails.normal_form(email) if is_short else email.strip())


def _is_ordinary(email: str) -> bool:
    """Whether only an unusual e-mail can equal it beyond case."""
    return email.isascii() and email == email.strip() and "xn--" not in email.lower()


def _read_groups(kept: sqlite3.Connection, shared: Shared) -> None:
    """In the order in which they were read."""
    groups = (
        "SELECT account, count(*) FROM held GROUP BY account HAVING count(DISTINCT spelling) > 1 ORDER BY min(rowid)"
    )
    of_account = "SELECT id FROM held WHERE account = ? ORDER BY rowid LIMIT ?"
    for account, number in kept.execute(groups):
        shared.add((id for (id,) in kept.execute(of_account, (account, IDS_MAX))), number)


def of_emails(found: Emails) -> Iterator[Finding]:
    yield from _of_indexes(found.indexes)
    ways = [*_of_unusable(found), *_of_shared(found)]
    yield from ways
    if not ways:
        yield Finding("ok", "e-mails", "every document has one, and no two belong to the same account")


def _of_indexes(found: surveys.Indexes) -> Iterator[Finding]:
    if found.missing:
        names = ", ".join(found.missing)
        yield Finding("warning", "indexes", f"missing: {names}. The service builds them when it starts")
    if found.lacks_keys:
        sentence = f"missing: {KEY_INDEX}, which keeps a user from being imported twice. users import and users adopt "
        yield Finding("warning", "indexes", sentence + "build it")
    if not (found.missing or found.lacks_keys):
        yield Finding("ok", "indexes", "all are there")


def _of_unusable(found: Emails) -> Iterator[Finding]:
    without = found.missing.number + found.empty.number
    if without:
        is_refused = max(found.missing.number, found.empty.number) > 1 and not found.indexes.is_email_unique
        sentence = f"{_documents(without)} without an e-mail: nobody can sign in to {_it(without)}"
        sentence += ", and email cannot be unique, so nobody signs up" if is_refused else ""
        ids = tuple([*found.missing.ids, *found.empty.ids][:IDS_MAX])
        yield Finding("error" if is_refused else "warning", "e-mails", sentence, ids, without)
    for documents, what in (
        (found.no_text, "an e-mail that is no text"),
        (found.padded, "an e-mail that begins or ends with white space"),
    ):
        if number := documents.number:
            sentence = f"{_documents(number)} with {what}: nobody can sign in to {_it(number)}"
            yield Finding("warning", "e-mails", sentence, tuple(documents.ids), number)


def _of_shared(found: Emails) -> Iterator[Finding]:
    if found.alike.emails:
        them = _it(found.alike.emails)
        sentence = f"the same to the letter: nobody can sign in with {them}, and nobody signs up"
        yield _finding_of("error", found.alike, sentence)
    if found.in_case.emails:
        yield _finding_of("warning", found.in_case, "in different case: each user must type the stored spelling")
    if found.beyond_case.emails:
        sentence = (
            "spelled in several ways, such as a domain in Unicode and as xn--: each user must type the stored "
            "spelling, and nobody can sign in to one with white space around it"
        )
        yield _finding_of("warning", found.beyond_case, sentence)
    if found.fault:
        sentence = f"not all could be looked at: temporary files cannot be written: {found.fault}. Set SQLITE_TMPDIR"
        yield Finding("warning", "e-mails", sentence)


def _finding_of(verdict: Verdict, shared: Shared, sentence: str) -> Finding:
    of = "1 e-mail is" if shared.emails == 1 else f"{shared.emails:,} e-mails are"
    have = f"{of} in {_documents(shared.documents)}, {sentence}"
    ids = tuple(id for group in shared.groups for id in group)
    return Finding(verdict, "e-mails", have, ids, shared.documents, tuple(shared.groups))


def _documents(number: int) -> str:
    return f"{number:,} document{'' if number == 1 else 's'}"


def _it(number: int) -> str:
    return "it" if number == 1 else "them"
