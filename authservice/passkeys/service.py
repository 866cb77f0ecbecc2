"""The use cases of passkeys."""

from collections.abc import Mapping
from typing import Any

from authservice import audit, metrics
from authservice.auth import passkey_proofs, signing_in, starting
from authservice.auth.pairs import SignedIn
from authservice.auth.starting import Visit
from authservice.errors import (
    CredentialsInvalid,
    LastWayIn,
    PasskeyInvalid,
    PasskeyKnown,
    PasskeysFull,
    PasskeyUnknown,
    SecondFactorNeeded,
    TokenInvalid,
)
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.mail import kinds, queue
from authservice.mail.setup import app_name_of
from authservice.security import devices, webauthn
from authservice.security.passkey_challenges import InvalidCredential, decoded
from authservice.state import current_state
from authservice.store import factors, lookup, passkeys, sessions
from authservice.store.clock import now
from authservice.store.passkeys import Passkey
from authservice.store.users import User

_TRIES = 3
_FACTOR = "passkey"  # as the templates of mails say it


def sign_in_options(client: Client) -> dict[str, Any]:
    """The same for everybody: nothing is looked up, and nothing is written. Raises TooManyAttempts."""
    budgets.for_passkey("options", client)
    return webauthn.authentication_options()


def sign_in(credential: Mapping[str, Any], visit: Visit) -> SignedIn:
    """Exchange the answer of a passkey for a session. It is two factors, so no second step is asked for.

    Raises CredentialsInvalid whatever is wrong, EmailUnverified, TooManyAttempts, DatabaseUnavailable.
    """
    budgets.for_passkey("sign-in", visit.client)
    try:
        assertion = webauthn.read_assertion(credential)
    except InvalidCredential:
        raise _refused(None) from None
    user = None
    for _ in range(_TRIES):
        account = lookup.find_account(assertion.user_id)
        user = account.user if account else None
        if account is None or account.user.is_disabled:
            passkeys.of(assertion.user_id)  # or the time would tell who has an account
            break
        good = passkey_proofs.judge_assertion(account.user, assertion, visit.user_agent, visit.accept_language)
        if good is None:
            break
        signing_in.require_verified(account.user, visit.accept_language)
        if signed_in := starting.start(account, visit, (*good.methods, "mfa"), spending=good.spending):
            return signed_in
        # The document has changed since it was read. If the challenge was spent, the next look says so.
    raise _refused(user)


def _refused(user: User | None) -> CredentialsInvalid:
    metrics.sign_ins.labels("refused", "new").inc()
    audit.record("sign_in", "refused", target_id=user.id if user else None)
    return CredentialsInvalid()


def of(user: User) -> list[Passkey]:
    """Raises DatabaseUnavailable."""
    return passkeys.of(user.id)


def registration_options(user: User) -> dict[str, Any]:
    """Raises PasskeysFull, DatabaseUnavailable."""
    existing = passkeys.of(user.id)
    if len(existing) >= passkeys.PASSKEYS_MAX:
        raise PasskeysFull
    excluded = [(passkey.id, passkey.transports) for passkey in existing]
    return webauthn.registration_options(user.id, user.email, app_name_of(current_state().settings), excluded)


def register(
    user: User,
    session_id: str,
    credential: Mapping[str, Any],
    name: str | None,
    user_agent: str,
    accept_language: str | None,
) -> Passkey:
    """Keep a new passkey, and tell the user by mail.

    Raises PasskeyInvalid, PasskeyKnown, PasskeysFull, TokenInvalid if the session has ended, DatabaseUnavailable.
    """
    try:
        new = webauthn.verify_registration(credential, user.id)
    except InvalidCredential:
        audit.record("add_passkey", "refused", target_id=user.id)
        raise PasskeyInvalid from None
    passkey = Passkey(
        id=new.id,
        public_key=new.public_key,
        sign_count=new.sign_count,
        challenge_at=new.challenge_at,
        name=name or devices.label_of(user_agent),
        transports=new.transports,
        is_synced=new.is_synced,
        created_at=now(),
    )
    notice = queue.notice(kinds.factor_added, user, user_agent, accept_language, factor=_FACTOR)
    if passkeys.register(user.id, session_id, passkey, notice):
        queue.nudge(notice)
        audit.record("add_passkey", "ok", target_id=user.id)
        return passkey
    audit.record("add_passkey", "refused", target_id=user.id)
    existing = passkeys.of(user.id)
    if any(one.id == passkey.id for one in existing):
        raise PasskeyKnown
    if len(existing) >= passkeys.PASSKEYS_MAX:
        raise PasskeysFull
    if sessions.find(user.id, session_id) is None:
        raise TokenInvalid
    raise PasskeyInvalid  # another one was registered since its challenge was issued


def rename(user: User, passkey_id: str, name: str) -> None:
    """Raises PasskeyUnknown, DatabaseUnavailable."""
    if not passkeys.rename(user.id, _id(passkey_id), name):
        raise PasskeyUnknown
    audit.record("rename_passkey", "ok", target_id=user.id)


def delete(user: User, passkey_id: str, user_agent: str, accept_language: str | None) -> None:
    """Remove a passkey, and tell the user by mail.

    Raises PasskeyUnknown, LastWayIn, SecondFactorNeeded if a role of the user needs one, DatabaseUnavailable.
    """
    binary = _id(passkey_id)
    if not any(passkey.id == binary for passkey in passkeys.of(user.id)):
        raise PasskeyUnknown
    notice = queue.notice(kinds.factor_removed, user, user_agent, accept_language, factor=_FACTOR)
    if passkeys.delete(user.id, binary, notice, needs_factor=factors.are_needed_by(user)):
        queue.nudge(notice)
        audit.record("delete_passkey", "ok", target_id=user.id)
    elif any(passkey.id == binary for passkey in passkeys.of(user.id)):
        audit.record("delete_passkey", "refused", target_id=user.id)
        raise SecondFactorNeeded if passkeys.has_password(user.id) else LastWayIn


def _id(text: str) -> bytes:
    """Raises PasskeyUnknown."""
    try:
        return decoded(text)
    except InvalidCredential:
        raise PasskeyUnknown from None
