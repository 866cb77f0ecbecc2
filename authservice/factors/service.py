"""The use cases of an authenticator app and its recovery codes."""

from dataclasses import dataclass, replace
from datetime import timedelta

from authservice import audit
from authservice.auth import pairs
from authservice.errors import CodeInvalid, SecondFactorNeeded, TokenInvalid, TwoStepsOff
from authservice.mail import kinds, queue
from authservice.mail.setup import app_name_of
from authservice.security import encryption, recovery_codes, totp
from authservice.state import current_state
from authservice.store import factors, sessions
from authservice.store.clock import now
from authservice.store.factors import Factors, PendingTotp
from authservice.store.users import User

_SETUP_LIFETIME = timedelta(minutes=15)
_BY_TOTP = ("otp", "mfa")


@dataclass(frozen=True, repr=False)
class Setup:
    """The secret in three forms: to type, to open on the same device, and to scan."""

    secret: str
    uri: str
    svg: str


@dataclass(frozen=True, repr=False)
class Confirmed:
    """What turning two steps on answers: with the new token no step-up is needed at once."""

    recovery_codes: list[str]
    token: str
    expires_in_seconds: int


def list_factors(user: User) -> Factors:
    """Raises DatabaseUnavailable."""
    return factors.find(user.id)


def set_up_totp(user: User, session_id: str) -> Setup:
    """A new secret, which waits for its first code. It replaces an earlier one that waits, and no other.

    Raises SecondFactorsOff without a key to encrypt it, TokenInvalid if the session has ended,
    DatabaseUnavailable.
    """
    secret = totp.new_secret()
    pending = PendingTotp(encryption.encrypt(user.id, secret), now())
    if not factors.set_up_totp(user.id, session_id, pending):
        raise TokenInvalid
    uri = totp.uri(secret, user.email, app_name_of(current_state().settings))
    return Setup(secret, uri, totp.svg(uri))


def confirm_totp(user: User, session_id: str, code: str, user_agent: str, accept_language: str | None) -> Confirmed:
    """Turn two steps on, spend the code, and raise the session to two factors, in one write. The user is told by mail.

    An earlier app and earlier recovery codes are void.
    Raises CodeInvalid, SecondFactorUnavailable, TokenInvalid if the session has ended, InternalError,
    DatabaseUnavailable.
    """
    found, pending, moment = sessions.find(user.id, session_id), factors.find(user.id).pending, now()
    if found is None:
        raise TokenInvalid
    step = None
    if pending is not None and pending.at > moment - _SETUP_LIFETIME:
        secret = encryption.decrypt(user.id, pending.secret)
        if factors.count_guess(user.id, pending):  # counted before it is compared
            step = totp.matching_step(secret, code, moment)
    if pending is None or step is None:
        audit.record("add_totp", "refused", target_id=user.id)
        raise CodeInvalid("It is wrong, expired or used, or was tried too often. Set the app up again.")
    _, session = found
    amr = (*(method for method in session.amr if method not in _BY_TOTP), *_BY_TOTP)
    codes = recovery_codes.new()
    raised = pairs.pair(replace(user, has_second_step=True), replace(session, authenticated_at=moment, amr=amr))
    notice = queue.notice(kinds.factor_added, user, user_agent, accept_language, factor="totp")
    spending = factors.confirming_totp(pending, step, moment, map(recovery_codes.hash_of, codes), notice)
    if not sessions.authenticate_again(user.id, session_id, None, moment, amr, spending):
        raise TokenInvalid
    queue.nudge(notice)
    audit.record("add_totp", "ok", target_id=user.id, sessionId=session_id)
    return Confirmed(codes, raised.token, raised.expires_in_seconds)


def remove_totp(user: User, session_id: str, user_agent: str, accept_language: str | None) -> None:
    """Turn two steps off: the app and the recovery codes go, passkeys stay. The user is told by mail.

    Raises SecondFactorNeeded if a role of the user needs one and there is no passkey, TokenInvalid if the session has
    ended, DatabaseUnavailable.
    """
    notice, needs_passkey = None, factors.are_needed_by(user)
    if user.has_second_step:
        notice = queue.notice(kinds.factor_removed, user, user_agent, accept_language, factor="totp")
    if not factors.remove_totp(user.id, session_id, notice, needs_passkey=needs_passkey):
        if needs_passkey and not factors.find(user.id).passkeys:
            raise SecondFactorNeeded
        raise TokenInvalid
    queue.nudge(notice)
    audit.record("remove_totp", "ok", target_id=user.id)


def replace_recovery_codes(user: User, session_id: str) -> list[str]:
    """Ten new codes, after which the old ones are void.

    Raises TwoStepsOff, TokenInvalid if the session has ended, DatabaseUnavailable.
    """
    if not user.has_second_step:
        raise TwoStepsOff
    codes = recovery_codes.new()
    if not factors.replace_recovery_codes(user.id, session_id, map(recovery_codes.hash_of, codes)):
        raise TokenInvalid
    audit.record("replace_recovery_codes", "ok", target_id=user.id)
    return codes
