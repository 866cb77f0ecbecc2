"""The budgets: who may attempt what, how often. A unit is taken before the hash, and given back after a success.

Sources: OWASP ASVS 5.0 section 6.3.1, RFC 6585 section 4 for the 429.
"""

import hmac
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Never

from authservice import metrics
from authservice.config import Network, Rate
from authservice.errors import (
    CredentialsInvalid,
    DatabaseUnavailable,
    HashingBusy,
    PasswordWrong,
    TooManyAttempts,
    ValidationFailed,
)
from authservice.limits.clients import KINDS, Client
from authservice.limits.memory import LocalBudgets, Refusals
from authservice.security import emails
from authservice.security.tokens import derived_key
from authservice.state import current_state
from authservice.store import limits as store
from authservice.store.limits import Spent, Unit

SIGN_IN_CLIENT, SIGN_IN_ACCOUNT_CLIENT, SIGN_IN_ACCOUNT = "sign_in_client", "sign_in_account_client", "sign_in_account"
SIGN_IN_DEVICE, PASSWORD_CHECK, SIGN_UP, REFRESH = "sign_in_device", "password_check", "sign_up", "refresh"
SIGN_IN_ATTEMPTS = "sign_in_attempts"  # of a client at one worker, whatever becomes of them
LIMITED = "limited"  # the routes of the app that embeds the service
STORED = (SIGN_IN_CLIENT, SIGN_IN_ACCOUNT_CLIENT, SIGN_IN_ACCOUNT, SIGN_IN_DEVICE, PASSWORD_CHECK, SIGN_UP, LIMITED)
_IN_SETTINGS = (*STORED[:-1], REFRESH)
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


def of_settings(settings: Mapping[str, Any]) -> Limits:
    """Services that share a database and a secret, but not the users, share no budget either."""
    for name in (*STORED, REFRESH, SIGN_IN_ATTEMPTS):
        metrics.attempts_refused.labels(name)  # Prometheus misses the first increase unless a counter starts at 0
    for kind in KINDS:
        metrics.client_addresses.labels(kind)
    info = _KEY_INFO + settings["USERS_COLLECTION"].encode()
    return Limits(
        is_on=settings["LIMITS"] == "on",
        key=derived_key(settings["JWT_SECRET_KEY"], info),
        rates={name: settings[f"LIMIT_{name.upper()}"] for name in _IN_SETTINGS},
        exempt=settings["LIMIT_EXEMPT"] or (),
    )


class SignInAttempt:
    """What an attempt to sign in has taken."""

    def __init__(self, client: Client, email: str, shown_device: str | None) -> None:
        self._client, self._email, self._shown_device = client, email, shown_device
        self.units: Sequence[Unit] = ()

    def take(self, *, knows_device: bool) -> None:
        """Take the units, before the password is hashed; a second call does nothing.

        A device that the account knows has a budget of its own; once that is spent, it is a stranger.
        Raises TooManyAttempts, DatabaseUnavailable.
        """
        limits = current_state().limits
        if self.units or not limits.is_on:
            return
        if knows_device:
            own = [_unit(limits, SIGN_IN_DEVICE, account_subject(self._email), f"device {self._shown_device}")]
            if _try_to_take(own) is None:
                self.units = own
                return
        if self._shown_device is not None:
            _refuse_flood(limits, self._client, self._email)
        self.units = _take(_of_stranger(limits, self._client, self._email))


@contextmanager
def for_sign_in(client: Client, email: str, shown_device: str | None = None) -> Iterator[SignInAttempt]:
    """Within it the password is checked. A wrong one, which raises CredentialsInvalid, costs what was taken.

    What the worker itself knows to be one too many is refused before anything is read. Of a device, that is a flood
    of its own: whether it is a stranger is seen later.
    Raises TooManyAttempts.
    """
    limits = current_state().limits
    if limits.is_on:
        if shown_device is None:
            _refuse_flood(limits, client, email)
        else:
            _require_no_wait(SIGN_IN_ATTEMPTS, limits.attempts.take(f"device {shown_device}", _ATTEMPTS))
    attempt = SignInAttempt(client, email, shown_device)
    try:
        yield attempt
    except CredentialsInvalid:
        raise
    except Exception:
        _give_back(attempt.units)
        raise
    _give_back(attempt.units)


@contextmanager
def for_password_check(user_id: str) -> Iterator[None]:
    """Within it the user's current password is checked. A wrong one, which raises PasswordWrong, costs a unit.

    So does a new password that is refused with ValidationFailed: the look-up that found it is an outgoing request, and
    a thief with a session must not cause many.
    Raises TooManyAttempts, DatabaseUnavailable.
    """
    taken = _take([_unit(current_state().limits, PASSWORD_CHECK, user_subject(user_id))])
    try:
        yield
    except (PasswordWrong, ValidationFailed):
        raise
    except Exception:
        _give_back(taken)
        raise
    _give_back(taken)


@dataclass(slots=True)
class SignUpAttempt:
    """How far a sign-up has come."""

    is_looked_up: bool = False  # from then on, a full gate tells that the e-mail is free


@contextmanager
def for_sign_up(client: Client) -> Iterator[SignUpAttempt]:
    """Within it an account is created. It costs a unit, also if it is refused: that tells who has an account.

    The unit is given back if the gate refuses it before the look-up, or if the database fails.
    Raises TooManyAttempts, DatabaseUnavailable.
    """
    taken = _take(_of_client(current_state().limits, SIGN_UP, client))
    attempt = SignUpAttempt()
    try:
        yield attempt
    except (HashingBusy, DatabaseUnavailable) as refusal:
        if not (attempt.is_looked_up and isinstance(refusal, HashingBusy)):
            _give_back(taken)
        raise


def for_refresh(session_id: str) -> None:
    """By session: many users may share an address. Raises TooManyAttempts."""
    limits = current_state().limits
    if limits.is_on:
        _require_no_wait(REFRESH, limits.refreshes.take(session_id, limits.rates[REFRESH]))


def for_route(route: str, rate: Rate, subject: Client | str) -> None:
    """A route of an app: by client, or by the id of a user. Raises TooManyAttempts, DatabaseUnavailable."""
    limits = current_state().limits
    shares = subject.shares if isinstance(subject, Client) else ((user_subject(subject), 1),)
    _take([Unit(key_of(limits, LIMITED, share, f"route {route}"), rate.times(factor)) for share, factor in shares])


def _refuse_flood(limits: Limits, client: Client, email: str) -> None:
    for subject, factor in reversed(client.shares):  # nothing is given back: a network must not spend its site's units
        _require_no_wait(SIGN_IN_ATTEMPTS, limits.attempts.take(subject, _ATTEMPTS.times(factor)))
    if spent := _remembered(_of_stranger(limits, client, email)):
        _refuse(spent.unit.budget, spent.wait_seconds)


def _of_stranger(limits: Limits, client: Client, email: str) -> list[Unit]:
    """From the widest to the narrowest: a client whose budget is spent makes no further documents."""
    account = account_subject(email)
    here = [_unit(limits, SIGN_IN_ACCOUNT_CLIENT, account, share) for share, _ in client.shares[-1:]]
    return [*_of_client(limits, SIGN_IN_CLIENT, client), *here, _unit(limits, SIGN_IN_ACCOUNT, account)]


def _of_client(limits: Limits, name: str, client: Client) -> list[Unit]:
    return [Unit(key_of(limits, name, share), limits.rates[name].times(factor)) for share, factor in client.shares]


def account_subject(email: str) -> str:
    """The same for every spelling, and whether there is an account or not."""
    return f"account {emails.normal_form(email)}"


def user_subject(user_id: str) -> str:
    return f"user {user_id}"


def _unit(limits: Limits, name: str, *subjects: str) -> Unit:
    return Unit(key_of(limits, name, *subjects), limits.rates[name])


def key_of(limits: Limits, name: str, *subjects: str) -> str:
    """The database learns no address of anybody."""
    hashes = [hmac.digest(limits.key, subject.encode(), "sha256")[:_HASH_BYTES].hex() for subject in subjects]
    return ":".join([name, *hashes])


def _take(units: Sequence[Unit]) -> Sequence[Unit]:
    if not current_state().limits.is_on or not units:
        return ()
    if spent := _try_to_take(units):
        _refuse(spent.unit.budget, spent.wait_seconds)
    return units


def _try_to_take(units: Sequence[Unit]) -> Spent | None:
    """Take the units, or say which budget is spent."""
    if spent := _remembered(units):
        return spent
    if spent := store.take_units(units):
        spent = replace(spent, wait_seconds=max(spent.wait_seconds, 1.0))
        current_state().limits.refusals.remember(spent.unit.key, spent.wait_seconds)
    return spent


def _remembered(units: Sequence[Unit]) -> Spent | None:
    wait_seconds = current_state().limits.refusals.wait_seconds
    return next((Spent(unit, seconds) for unit in units if (seconds := wait_seconds(unit.key)) > 0), None)


def _give_back(taken: Sequence[Unit]) -> None:
    """One unit each, never a reset: an attacker's own success opens nothing."""
    if taken:
        with suppress(DatabaseUnavailable):  # the attempt has ended, and its answer stands
            store.give_back_units(taken)
        for unit in taken:
            current_state().limits.refusals.forget(unit.key)


def _require_no_wait(budget: str, wait_seconds: float) -> None:
    if wait_seconds > 0:
        _refuse(budget, wait_seconds)


def _refuse(budget: str, wait_seconds: float) -> Never:
    metrics.attempts_refused.labels(budget).inc()
    raise TooManyAttempts(math.ceil(wait_seconds))
