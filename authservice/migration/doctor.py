"""Findings about the hashes of a users collection, and about the settings, as data. It reads only."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from authservice.config import production
from authservice.security import legacy
from authservice.security.legacy.legacy_hash import SETTING_OF, Needs
from authservice.store import surveys
from authservice.store.client import ping
from authservice.store.email_changes import NO_PASSWORD_MATCHES
from authservice.store.surveys import IDS_MAX, Surveyed
from authservice.store.users import StoredPassword

SAMPLE = 10_000
_DEVISES_FIELD = "encrypted_password"  # Devise knows no other name

Verdict = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """``number``: how many documents it is about. ``ids`` are theirs: the first ones, if there are many.

    ``groups`` has the same ids, grouped by the account that their e-mails belong to.
    """

    verdict: Verdict
    about: str
    sentence: str
    ids: tuple[str, ...] = ()
    number: int | None = None
    groups: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Row:
    """Documents whose passwords are kept alike. ``is_ours``: this service has made the hash."""

    format: str
    cost: str
    is_ours: bool
    number: int


@dataclass
class Hashes:
    """What the sample holds. ``users`` is how many documents there are, ``sampled`` how many of them were read."""

    users: int
    sampled: int = 0
    counted: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    needs: Counter[tuple[Needs, str]] = field(default_factory=Counter)  # what keys, by which scheme
    unreadable: list[str] = field(default_factory=list)  # ids
    dearest: tuple[float, str] | None = None  # rank and description

    @property
    def is_whole(self) -> bool:
        return self.sampled >= self.users

    def rows(self) -> list[Row]:
        """The most frequent first."""
        return [Row(*key, number) for key, number in self.counted.most_common()]

    def add(self, surveyed: Surveyed) -> None:
        self.sampled += 1
        stored = surveyed.stored.hash
        if stored is None or stored in ("", NO_PASSWORD_MATCHES):
            self.counted["no password", "", False] += 1
            return
        read = _read(stored)
        if read is None:
            self.counted["unreadable", "", False] += 1
            self.unreadable.append(surveyed.id)
            return
        scheme, parsed = read
        self.counted[scheme, parsed.cost, not surveyed.stored.is_legacy] += 1
        if parsed.needs and (scheme != "bcrypt" or _is_devises(surveyed.stored)):
            self.needs[parsed.needs, scheme] += 1
        self.compare(parsed, scheme)

    def compare(self, parsed: legacy.LegacyHash, scheme: str) -> None:
        if self.dearest is None or parsed.dear > self.dearest[0]:
            self.dearest = parsed.dear, f"{scheme}, {parsed.cost}"


def count() -> int:
    """How many documents there are. Raises DatabaseUnavailable."""
    ping()  # fails fast without a database
    return surveys.count()


def examine_hashes(found: Hashes) -> None:
    """Read the sample into it. Raises DatabaseUnavailable."""
    for batch in surveys.sample(found.users, SAMPLE):
        for surveyed in batch:
            found.add(surveyed)
    if (noted := surveys.dearest()) and (read := _read(noted)):  # the sample may have missed it
        found.compare(read[1], read[0])


def _read(stored: object) -> tuple[str, legacy.LegacyHash] | None:
    """The scheme and what is known of the hash. A plain bcrypt hash has no tag, and costs what Devise's costs."""
    if not isinstance(stored, str):
        return None
    plain = legacy.parse(f"$devise${stored}") if stored.startswith("$2") else None
    parsed = plain or legacy.parse(stored)
    return None if parsed is None else ("bcrypt" if plain else parsed.scheme, parsed)


def _is_devises(stored: StoredPassword) -> bool:
    """Without a pepper here, a hash in Devise's own field reads as plain bcrypt, whatever Devise has."""
    return stored.theirs is not None and stored.theirs[0] == _DEVISES_FIELD


def of_hashes(found: Hashes, settings: Mapping[str, Any]) -> Iterator[Finding]:
    read = f"all {found.users:,}" if found.is_whole else f"a sample of {found.sampled:,} of {found.users:,}"
    if number := len(found.unreadable):
        passwords = "has a password" if number == 1 else "have passwords"
        cost = "costs" if number == 1 else "cost"
        sentence = (
            f"{_of_sample(number, found)} {passwords} in no format that this service reads, or that {cost} more than "
            "it allows"
        )
        yield Finding("warning", "hashes", sentence, tuple(found.unreadable[:IDS_MAX]), number)
    else:
        yield Finding("ok", "hashes", f"every hash looked at can be checked: {read}")
    yield _of_dearest(found, settings["BCRYPT_LOG_ROUNDS"])
    for (needs, scheme), number in sorted(found.needs.items()):
        if settings[SETTING_OF[needs]] is None:
            yield _of_key(f"FLASK_{SETTING_OF[needs]}", scheme, number, found)


def _of_key(setting: str, scheme: str, number: int, found: Hashes) -> Finding:
    """Devise works without a pepper too; the other schemes never match without their key."""
    hashes = "has a hash" if number == 1 else "have hashes"
    whose = f"{_of_sample(number, found)} {hashes}"
    if scheme == "bcrypt" or scheme.startswith("devise"):
        sentence = f"{whose} of Devise ({scheme}): if Devise has a pepper, set {setting}"
        return Finding("warning", "keys", sentence, number=number)
    need = "needs" if number == 1 else "need"
    return Finding("error", "keys", f"{whose} that {need} {setting} ({scheme})", number=number)


def _of_sample(number: int, found: Hashes) -> str:
    return f"{number:,} of the {found.sampled:,} user{'' if found.sampled == 1 else 's'} looked at"


def _of_dearest(found: Hashes, our_cost: int) -> Finding:
    ours = legacy.parse(f"$devise$$2b${our_cost:02}${'.' * 53}")
    if ours is None or found.dearest is None or found.dearest[0] <= ours.dear * 1.01:
        return Finding("ok", "cost", f"no hash costs more than ours, bcrypt of cost {our_cost}")
    milliseconds, what = found.dearest
    return Finding(
        "warning",
        "cost",
        f"{what} costs about {milliseconds / ours.dear:.1f} times our bcrypt of cost {our_cost}: every refused sign-in "
        "takes as long until such hashes have been renewed",
    )


def of_settings(settings: Mapping[str, Any], given: set[str]) -> Iterator[Finding]:
    """Whether FLASK_ENV=production would start with them. If it is set, they have passed already."""
    faults = [] if settings["ENV"] == "production" else production.faults_of(settings, given)
    for fault in faults:
        yield Finding("warning", "production", fault)
    if not faults:
        yield Finding("ok", "production", "the settings pass the rules of FLASK_ENV=production")
