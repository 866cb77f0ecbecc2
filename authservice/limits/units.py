"""The units that attempts take: what a budget is, whose it is, and whether it has a unit left."""

import hmac
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Never

from authservice import metrics
from authservice.config import Network, Rate
from authservice.errors import DatabaseUnavailable, TooManyAttempts
from authservice.limits.clients import KINDS, Client
from authservice.limits.memory import LocalBudgets, Refusals
from authservice.security import emails
from authservice.security.keys import derived_key
from authservice.state import current_state
from authservice.store import limits as store
from authservice.store.limits import Spent, Unit

SIGN_IN_CLIENT, SIGN_IN_ACCOUNT_CLIENT, SIGN_IN_ACCOUNT = "sign_in_client", "sign_in_account_client", "sign_in_account"
SIGN_IN_DEVICE, PASSWORD_CHECK, SIGN_UP, REFRESH = "sign_in_device", "password_check", "sign_up", "refresh"
RESET = "reset"
SIGN_IN_ATTEMPTS = "sign_in_attempts"  # of a client at one worker, whatever becomes of them
SECOND_STEP = "second_step"  # kept in the user's document, also with FLASK_LIMITS=off
LIMITED = "limited"  # the routes of the app that embeds the service
STORED = (
    SIGN_IN_CLIENT,
    SIGN_IN_ACCOUNT_CLIENT,
    SIGN_IN_ACCOUNT,
    SIGN_IN_DEVICE,
    PASSWORD_CHECK,
    SIGN_UP,
    RESET,
    LIMITED,
)
MAILS_AGAIN, MAILS_HOUR, MAILS_DAY = MAILS = ("mails_again", "mails_hour", "mails_day")  # that strangers ask for
_IN_SETTINGS = (*STORED[:-1], REFRESH)
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
    for name in (*STORED, REFRESH, SIGN_IN_ATTEMPTS, SECOND_STEP):
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


def of_client(limits: Limits, name: str, client: Client) -> list[Unit]:
    return [Unit(key_of(limits, name, share), limits.rates[name].times(factor)) for share, factor in client.shares]


def account_subject(email: str) -> str:
    """The same for every spelling, and whether there is an account or not."""
    return f"account {emails.normal_form(email)}"


def user_subject(user_id: str) -> str:
    return f"user {user_id}"


def of(limits: Limits, name: str, *subjects: str) -> Unit:
    return Unit(key_of(limits, name, *subjects), limits.rates[name])


def key_of(limits: Limits, name: str, *subjects: str) -> str:
    """The database learns no address of anybody."""
    hashes = [hmac.digest(limits.key, subject.encode(), "sha256")[:_HASH_BYTES].hex() for subject in subjects]
    return ":".join([name, *hashes])


def take(units: Sequence[Unit]) -> Sequence[Unit]:
    if not current_state().limits.is_on or not units:
        return ()
    if spent := try_to_take(units):
        refuse(spent.unit.budget, spent.wait_seconds)
    return units


def try_to_take(units: Sequence[Unit]) -> Spent | None:
    """Take the units, or say which budget is spent."""
    if spent := remembered(units):
        return spent
    if spent := store.take_units(units):
        spent = replace(spent, wait_seconds=max(spent.wait_seconds, 1.0))
        current_state().limits.refusals.remember(spent.unit.key, spent.wait_seconds)
    return spent


def remembered(units: Sequence[Unit]) -> Spent | None:
    wait_seconds = current_state().limits.refusals.wait_seconds
    return next((Spent(unit, seconds) for unit in units if (seconds := wait_seconds(unit.key)) > 0), None)


def give_back(taken: Sequence[Unit]) -> None:
    """One unit each, never a reset: an attacker's own success opens nothing."""
    if taken:
        with suppress(DatabaseUnavailable):  # the attempt has ended, and its answer stands
            store.give_back_units(taken)
        for unit in taken:
            current_state().limits.refusals.forget(unit.key)


def require_no_wait(budget: str, wait_seconds: float) -> None:
    if wait_seconds > 0:
        refuse(budget, wait_seconds)


def refuse(budget: str, wait_seconds: float) -> Never:
    metrics.attempts_refused.labels(budget).inc()
    raise TooManyAttempts(math.ceil(wait_seconds))
