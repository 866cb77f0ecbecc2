"""The budgets: who may attempt what, how often. A unit is taken before the hash, and given back after a success.

Sources: OWASP ASVS 5.0 section 6.3.1, RFC 6585 section 4 for the 429.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from authservice.config import Rate
from authservice.errors import CodeInvalid, CredentialsInvalid, DatabaseUnavailable, HashingBusy, PasswordWrong
from authservice.limits import units
from authservice.limits.clients import Client
from authservice.limits.units import Limits
from authservice.state import current_state
from authservice.store.limits import Unit

_ATTEMPTS = Rate(120, 60)
_DEVICES_OF_CLIENT = 10  # clients without devices that one counts for, where many users share an address


class SignInAttempt:
    """What an attempt to sign in has taken."""

    def __init__(self, client: Client, email: str, shown_device: str | None) -> None:
        self._client, self._email, self._shown_device = client, email, shown_device
        self.units: Sequence[Unit] = ()
        self._is_of_device = False

    def take_of_device(self) -> bool:
        """Take the unit of a device that the account knows. False if that budget is spent: it is a stranger.

        Raises DatabaseUnavailable.
        """
        limits = current_state().limits
        if limits.is_on and not self.units:
            account = units.account_subject(self._email)
            own = [units.of(limits, units.SIGN_IN_DEVICE, account, f"device {self._shown_device}")]
            if units.try_to_take(own) is None:
                self.units, self._is_of_device = own, True
        return self._is_of_device or not limits.is_on

    def take_of_stranger(self) -> None:
        """Take the units, before the password is hashed. It does nothing if the attempt has taken some already.

        Raises TooManyAttempts, DatabaseUnavailable.
        """
        limits = current_state().limits
        if self.units or not limits.is_on:
            return
        if self._shown_device is not None:
            _refuse_flood(limits, self._client, self._email)
        self.units = units.take(_of_stranger(limits, self._client, self._email))


@contextmanager
def for_sign_in(client: Client, email: str, shown_device: str | None = None) -> Iterator[SignInAttempt]:
    """Within it the password is checked. A wrong one costs what was taken: CredentialsInvalid or CodeInvalid.

    What the worker itself knows to be one too many is refused before anything is read. Of a device, that is a flood
    of its own: whether it is a stranger is seen later.
    Raises TooManyAttempts.
    """
    limits = current_state().limits
    if limits.is_on:
        if shown_device is None:
            _refuse_flood(limits, client, email)
        else:
            _refuse_flood_of_device(limits, client, shown_device)
    attempt = SignInAttempt(client, email, shown_device)
    try:
        yield attempt
    except (CredentialsInvalid, CodeInvalid):
        raise
    except Exception:
        units.give_back(attempt.units)
        raise
    units.give_back(attempt.units)


@contextmanager
def for_password_check(user_id: str) -> Iterator[None]:
    """Within it the user's current password is checked. A wrong one, which raises PasswordWrong, costs a unit.

    Raises TooManyAttempts, DatabaseUnavailable.
    """
    taken = units.take([units.of(current_state().limits, units.PASSWORD_CHECK, units.user_subject(user_id))])
    try:
        yield
    except PasswordWrong:
        raise
    except Exception:
        units.give_back(taken)
        raise
    units.give_back(taken)


@dataclass(slots=True)
class SignUpAttempt:
    """What the service says of a sign-up."""

    is_spent: bool = False  # also if the gate refuses it


@contextmanager
def for_sign_up(client: Client) -> Iterator[SignUpAttempt]:
    """Within it an account is created. It costs a unit, also if it is refused: that tells who has an account.

    The unit is given back if the gate refuses it before it ``is_spent``, or if the database fails.
    Raises TooManyAttempts, DatabaseUnavailable.
    """
    taken = units.take(units.of_client(current_state().limits, units.SIGN_UP, client))
    attempt = SignUpAttempt()
    try:
        yield attempt
    except (HashingBusy, DatabaseUnavailable) as refusal:
        if not (attempt.is_spent and isinstance(refusal, HashingBusy)):
            units.give_back(taken)
        raise


def for_reset(client: Client) -> None:
    """Mails that strangers ask for. Raises TooManyAttempts, DatabaseUnavailable."""
    units.take(units.of_client(current_state().limits, units.RESET, client))


def for_refresh(session_id: str) -> None:
    """By session: many users may share an address. Raises TooManyAttempts."""
    limits = current_state().limits
    if limits.is_on:
        units.require_no_wait(units.REFRESH, limits.refreshes.take(session_id, limits.rates[units.REFRESH]))


def for_passkey(action: str, client: Client) -> None:
    """At this worker alone: nobody guesses a signature, so only the cost of verifying is bounded.

    Raises TooManyAttempts.
    """
    limits = current_state().limits
    if limits.is_on:
        for subject, factor in reversed(client.shares):
            _take_attempt(limits, f"passkey {action} {subject}", factor)


def for_route(route: str, rate: Rate, subject: Client | str) -> None:
    """A route of an app: by client, or by the id of a user. Raises TooManyAttempts, DatabaseUnavailable."""
    limits = current_state().limits
    shares = subject.shares if isinstance(subject, Client) else ((units.user_subject(subject), 1),)
    units.take(
        [
            Unit(units.key_of(limits, units.LIMITED, share, f"route {route}"), rate.times(factor))
            for share, factor in shares
        ]
    )


def _refuse_flood(limits: Limits, client: Client, email: str) -> None:
    for subject, factor in reversed(client.shares):  # nothing is given back: a network must not spend its site's units
        _take_attempt(limits, subject, factor)
    if spent := units.remembered(_of_stranger(limits, client, email)):
        units.refuse(spent.unit.budget, spent.wait_seconds)


def _refuse_flood_of_device(limits: Limits, client: Client, device: str) -> None:
    """Any user can collect any number of tokens, and each attempt with a token costs a look-up."""
    for subject, factor in reversed(client.shares):
        _take_attempt(limits, f"devices {subject}", _DEVICES_OF_CLIENT * factor)
    _take_attempt(limits, f"device {device}", 1)


def _take_attempt(limits: Limits, subject: str, factor: int) -> None:
    units.require_no_wait(units.SIGN_IN_ATTEMPTS, limits.attempts.take(subject, _ATTEMPTS.times(factor)))


def _of_stranger(limits: Limits, client: Client, email: str) -> list[Unit]:
    """From the widest to the narrowest: a client whose budget is spent makes no further documents."""
    account = units.account_subject(email)
    here = [units.of(limits, units.SIGN_IN_ACCOUNT_CLIENT, account, share) for share, _ in client.shares[-1:]]
    return [
        *units.of_client(limits, units.SIGN_IN_CLIENT, client),
        *here,
        units.of(limits, units.SIGN_IN_ACCOUNT, account),
    ]
