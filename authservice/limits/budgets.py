"""The budgets: who may attempt what, how often. A unit is taken before the hash, and given back after a success.

Sources: OWASP ASVS 5.0 section 6.3.1, RFC 6585 section 4 for the 429.
"""

import hmac
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Never

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authservice import metrics
from authservice.config import Network, Rate
from authservice.errors import CredentialsInvalid, DatabaseUnavailable, PasswordWrong, TooManyAttempts
from authservice.limits.clients import KINDS, Client
from authservice.limits.memory import LocalBudgets, Refusals
from authservice.security import emails
from authservice.state import current_state
from authservice.store import limits as store
from authservice.store.limits import Unit

SIGN_IN_CLIENT, SIGN_IN_ACCOUNT_CLIENT, SIGN_IN_ACCOUNT = "sign_in_client", "sign_in_account_client", "sign_in_account"
SIGN_IN_DEVICE, PASSWORD_CHECK, SIGN_UP, REFRESH = "sign_in_device", "password_check", "sign_up", "refresh"
SIGN_IN_ATTEMPTS = "sign_in_attempts"  # of a client at one worker, whatever becomes of them
LIMITED = "limited"  # the routes of the app that embeds the service
_STORED = (SIGN_IN_CLIENT, SIGN_IN_ACCOUNT_CLIENT, SIGN_IN_ACCOUNT, SIGN_IN_DEVICE, PASSWORD_CHECK, SIGN_UP, LIMITED)
_IN_SETTINGS = (*_STORED[:-1], REFRESH)
_ATTEMPTS = Rate(120, 60)
_KEY_INFO = b"authservice: limits of "
_HASH_BYTES = 12


@dataclass(frozen=True, slots=True, repr=False, eq=False)  # no repr: it holds a key
class Limits:
    """The limits of an application, and what this worker remembers."""

    is_on: bool
    key: bytes
    rates: Mapping[str, Rate]
    exempt: tuple[Network, ...]
    attempts: LocalBudgets = field(default_factory=LocalBudgets)
    refreshes: LocalBudgets = field(default_factory=LocalBudgets)
    refusals: Refusals = field(default_factory=Refusals)
    is_proxy_told: Event = field(default_factory=Event)  # whether the log has the warning of web/clients.py


@dataclass(frozen=True, slots=True)
class Counted:
    """A budget that is not full. The rate of a route of an app is known to the app alone."""

    budget: str
    left: int | None
    burst: int | None
    full_in_seconds: int


def of_settings(settings: Mapping[str, Any]) -> Limits:
    """Services that share a database and a secret, but not the users, share no budget either."""
    for name in (*_STORED, REFRESH, SIGN_IN_ATTEMPTS):
        metrics.attempts_refused.labels(name)  # a counter that nobody has seen at 0 hides its first increase
    for kind in KINDS:
        metrics.client_addresses.labels(kind)
    info = _KEY_INFO + settings["USERS_COLLECTION"].encode()
    return Limits(
        is_on=settings["LIMITS"] == "on",
        key=HKDF(SHA256(), length=32, salt=None, info=info).derive(
            settings["JWT_SECRET_KEY"].encode("utf-8", "surrogateescape")
        ),
        rates={name: settings[f"LIMIT_{name.upper()}"] for name in _IN_SETTINGS},
        exempt=settings["LIMIT_EXEMPT"] or (),
    )


def refuse_flood(client: Client, email: str) -> None:
    """Refuse a sign-in that the worker itself knows to be one too many, before anything is read or hashed.

    Raises TooManyAttempts.
    """
    limits = current_state().limits
    if not limits.is_on:
        return
    for subject, factor in client.shares:
        _require_no_wait(SIGN_IN_ATTEMPTS, limits.attempts.take(subject, _ATTEMPTS.times(factor)))
    _refuse_remembered(limits, _of_stranger(limits, client, email))


@contextmanager
def for_sign_in(client: Client, email: str, device: str | None = None) -> Iterator[None]:
    """Within it the password is checked. A wrong one, which raises CredentialsInvalid, costs what was taken.

    A ``device`` that holds the account has a budget of its own; once that is spent, it is a stranger.
    Raises TooManyAttempts, DatabaseUnavailable.
    """
    limits = current_state().limits
    taken: Sequence[Unit] | None = None
    if device is not None:
        with suppress(TooManyAttempts):
            taken = _take([_unit(limits, SIGN_IN_DEVICE, _account(email), f"device {device}")])
    if taken is None:
        taken = _take(_of_stranger(limits, client, email))
    with _given_back(taken, unless=CredentialsInvalid):
        yield


@contextmanager
def for_password_check(user_id: str) -> Iterator[None]:
    """Within it the user's current password is checked. A wrong one, which raises PasswordWrong, costs a unit.

    Raises TooManyAttempts, DatabaseUnavailable.
    """
    taken = _take([_unit(current_state().limits, PASSWORD_CHECK, _user(user_id))])
    with _given_back(taken, unless=PasswordWrong):
        yield


def for_sign_up(client: Client) -> None:
    """A sign-up costs a unit whatever its outcome: a refused one tells who has an account.

    Raises TooManyAttempts, DatabaseUnavailable.
    """
    _take(_of_client(current_state().limits, SIGN_UP, client))


def for_refresh(session_id: str) -> None:
    """By session: many users may share an address. Raises TooManyAttempts."""
    limits = current_state().limits
    if limits.is_on:
        _require_no_wait(REFRESH, limits.refreshes.take(session_id, limits.rates[REFRESH]))


def for_route(route: str, rate: Rate, subject: Client | str) -> None:
    """A route of an app: by client, or by the id of a user. Raises TooManyAttempts, DatabaseUnavailable."""
    limits = current_state().limits
    shares = subject.shares if isinstance(subject, Client) else ((_user(subject), 1),)
    _take([Unit(_key(limits, LIMITED, share, f"route {route}"), rate.times(factor)) for share, factor in shares])


def of_email(email: str, user_id: str | None = None) -> dict[str, Rate | None]:
    """What the keys of an account's counters begin with, and their rates: for ``show`` and ``clear``."""
    return _prefixes([(_account(email), 1), *([(_user(user_id), 1)] if user_id else [])])


def of_client(client: Client) -> dict[str, Rate | None]:
    """The same of a client."""
    return _prefixes(client.shares)


def show(prefixes: Mapping[str, Rate | None]) -> Iterator[Counted]:
    """The budgets that are not full. Raises DatabaseUnavailable."""
    moment = time.time()
    for key, full_at in store.find_counters(prefixes):
        rate = next(rate for prefix, rate in prefixes.items() if key.startswith(prefix))
        spent_seconds = full_at - moment
        left = None if rate is None else max(0, int((rate.refill_seconds - spent_seconds) / rate.unit_seconds + 0.1))
        yield Counted(key.partition(":")[0], left, rate.burst if rate else None, math.ceil(spent_seconds))


def clear(prefixes: Iterable[str]) -> int:
    """Make the budgets full; how many counters there were. Workers learn it within REMEMBERED_SECONDS.

    Raises DatabaseUnavailable.
    """
    return store.delete_counters(prefixes)


def _prefixes(subjects: Iterable[tuple[str, int]]) -> dict[str, Rate | None]:
    limits = current_state().limits
    rates = {name: limits.rates.get(name) for name in _STORED}
    return {
        _key(limits, name, subject): rate and rate.times(factor)
        for name, rate in rates.items()
        for subject, factor in subjects
    }


def _of_stranger(limits: Limits, client: Client, email: str) -> list[Unit]:
    """From the widest to the narrowest: a client whose budget is spent makes no further documents."""
    if not limits.is_on:
        return []
    account = _account(email)
    here = [_unit(limits, SIGN_IN_ACCOUNT_CLIENT, account, share) for share, factor in client.shares if factor == 1]
    return [*_of_client(limits, SIGN_IN_CLIENT, client), *here, _unit(limits, SIGN_IN_ACCOUNT, account)]


def _of_client(limits: Limits, name: str, client: Client) -> list[Unit]:
    return [Unit(_key(limits, name, share), limits.rates[name].times(factor)) for share, factor in client.shares]


def _account(email: str) -> str:
    """The same for every spelling, and whether there is an account or not."""
    return f"account {emails.normal_form(email)}"


def _user(user_id: str) -> str:
    return f"user {user_id}"


def _unit(limits: Limits, name: str, *subjects: str) -> Unit:
    return Unit(_key(limits, name, *subjects), limits.rates[name])


def _key(limits: Limits, name: str, *subjects: str) -> str:
    """The database learns no address of anybody."""
    hashes = [hmac.digest(limits.key, subject.encode(), "sha256")[:_HASH_BYTES].hex() for subject in subjects]
    return ":".join([name, *hashes])


def _take(units: Sequence[Unit]) -> Sequence[Unit]:
    limits = current_state().limits
    if not limits.is_on or not units:
        return ()
    _refuse_remembered(limits, units)
    spent = store.take_units(units)
    if spent is not None:
        wait_seconds = max(spent.wait_seconds, 1.0)
        limits.refusals.remember(spent.unit.key, wait_seconds)
        _refuse(spent.unit.budget, wait_seconds)
    return units


@contextmanager
def _given_back(taken: Sequence[Unit], *, unless: type[Exception]) -> Iterator[None]:
    """Give the units back, unless the attempt was what they are for. One unit each, never a reset."""
    try:
        yield
    except unless:
        raise
    except Exception:
        _give_back(taken)
        raise
    _give_back(taken)


def _give_back(taken: Sequence[Unit]) -> None:
    if taken:
        with suppress(DatabaseUnavailable):  # the attempt has ended, and its answer stands
            store.give_back_units(taken)
        for unit in taken:
            current_state().limits.refusals.forget(unit.key)


def _refuse_remembered(limits: Limits, units: Sequence[Unit]) -> None:
    for unit in units:
        _require_no_wait(unit.budget, limits.refusals.wait_seconds(unit.key))


def _require_no_wait(budget: str, wait_seconds: float) -> None:
    if wait_seconds > 0:
        _refuse(budget, wait_seconds)


def _refuse(budget: str, wait_seconds: float) -> Never:
    metrics.attempts_refused.labels(budget).inc()
    raise TooManyAttempts(math.ceil(wait_seconds))
