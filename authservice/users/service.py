"""The use cases of a user's own account."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authservice import audit, signals
from authservice.auth.service import SignedIn, end_replaced, new_session, pair
from authservice.errors import (
    DatabaseUnavailable,
    DeviceUnknown,
    EmailTaken,
    Fault,
    LastAdmin,
    PasswordWrong,
    TokenInvalid,
    ValidationFailed,
)
from authservice.limits import budgets
from authservice.limits.clients import NO_CLIENT, Client
from authservice.security import emails, new_passwords, passwords, proof_of_work
from authservice.security.hashing_gate import Place
from authservice.store import devices, indexes, lookup, profile_values, proofs, sessions, users
from authservice.store.devices import Device
from authservice.store.users import ADMIN, StoredPassword, User

PROFILE_MAX_BYTES = 16_384  # as BSON
_TRIES = 3
_PROFILE_TRIES = 32  # among concurrent changes, one succeeds in each round


def require_proof(payload: str | None) -> None:
    """Use up a proof of work, if one is required. It stays used whatever becomes of the sign-up.

    Otherwise one proof would test any number of e-mails. Raises ValidationFailed, DatabaseUnavailable.
    """
    if proof_of_work.is_required():
        proof = proof_of_work.verify(payload)
        if not proofs.use_proof(proof.id, proof.expires_at):
            raise proof_of_work.refusal("proof_used", "This solution was used already. Solve a new challenge.")


def sign_up(email: str, password: str, profile: Mapping[str, Any] | None = None, client: Client = NO_CLIENT) -> User:
    """Create an account.

    Raises ValidationFailed, EmailTaken, TooManyAttempts, HashingBusy, UsersCollectionUnfit, DatabaseUnavailable.
    """
    new_passwords.require_hard_to_guess(password, email)
    _require_small(profile or {})
    indexes.ensure_indexes()
    spellings = emails.spellings(email)
    user = None
    with budgets.for_sign_up(client) as attempt:
        attempt.is_spent = new_passwords.asks_server()  # or a full gate would make outgoing requests free
        new_passwords.require_unbreached(password)  # before the gate: a slow answer holds no place there
        with passwords.enter(client.address) as place:
            holder_id = lookup.find_holder(spellings)  # saves the hashing; the insert below decides
            attempt.is_spent = True  # from here, a full gate tells that the e-mail is free
            password_hash = passwords.hash_password(place, password) if holder_id is None else None
        if password_hash is not None:
            user = users.insert(emails.normal_form(email), spellings, password_hash, profile)
    if user is None:
        audit.record("sign_up", "email_taken", target_id=holder_id)
        raise EmailTaken
    audit.record("sign_up", "ok", actor_id=user.id, target_id=user.id)
    signals.send(signals.user_created, user)
    return user


def change_profile(user: User, session_id: str, changes: Mapping[str, Any]) -> User:
    """Set some members of the profile; the user as it is then.

    Raises ValidationFailed, TokenInvalid if the session has ended, DatabaseUnavailable.
    """
    for _ in range(_PROFILE_TRIES):
        profile = {**user.profile, **changes}
        _require_small(profile)
        if users.change_profile(user.id, session_id, user.profile, changes):
            audit.record("change_profile", "ok", target_id=user.id)
            return replace(user, profile=profile)
        # Another field has changed in the meantime, so the total size must be checked again.
        found = sessions.find(user.id, session_id)
        if found is None:
            raise TokenInvalid
        user, _ = found
    raise DatabaseUnavailable


def _require_small(profile: Mapping[str, Any]) -> None:
    if profile_values.stored_bytes(profile) > PROFILE_MAX_BYTES:
        raise ValidationFailed(
            [Fault("", "too_large", f"All fields together have at most {PROFILE_MAX_BYTES:,} bytes.")]
        )


def change_password(
    user: User,
    session_id: str,
    current_password: str,
    new_password: str,
    client: Client,
    user_agent: str,
    replaced_refresh_token: str | None,
) -> SignedIn:
    """Set a new password and replace all sessions with a new one. This session ends too: a thief may share it.

    It also ends the session of ``replaced_refresh_token``, which may belong to another user.
    Raises ValidationFailed, PasswordWrong, TooManyAttempts, TokenInvalid if the session has ended, HashingBusy,
    DatabaseUnavailable.
    """
    new_passwords.require_hard_to_guess(new_password, user.email, "/newPassword")
    new_hash = None
    with budgets.for_password_check(user.id):
        for _ in range(_TRIES):
            with passwords.enter(client.address) as place:
                checked = _check(place, user, current_password)
            if new_hash is None:
                # Only who knows the password causes an outgoing request, and a slow answer holds no place in the gate.
                new_passwords.require_unbreached(new_password, "/newPassword")
                with passwords.enter(client.address) as place:
                    new_hash = passwords.hash_password(place, new_password)
            _, device_id = devices.of(user.id, session_id)
            session = new_session(client.address, user_agent, device_id)
            signed_in = pair(user, session)
            if sessions.change_password(user.id, checked, new_hash, session_id, session):
                audit.record("change_password", "ok", target_id=user.id, sessionId=session.id)
                end_replaced(replaced_refresh_token, user)
                signals.send(signals.password_changed, user)
                return signed_in
            # The document has changed since the check: a sign-in renewed the hash, or the session has ended.
        audit.record("change_password", "refused", target_id=user.id)
        raise TokenInvalid


def list_devices(user: User, session_id: str) -> tuple[list[Device], str | None]:
    """The user's devices, most recently seen first, and the id of the session's own. Raises DatabaseUnavailable."""
    return devices.of(user.id, session_id)


def forget_device(user: User, device_id: str) -> None:
    """Forget a device: it is a stranger at the next sign-in. Its sessions go on.

    Raises DeviceUnknown, DatabaseUnavailable.
    """
    if not devices.forget(user.id, device_id):
        raise DeviceUnknown
    audit.record("forget_device", "ok", target_id=user.id)


def delete_account(user: User, current_password: str, client: Client) -> None:
    """Delete the user's document.

    Raises PasswordWrong, TooManyAttempts, LastAdmin, HashingBusy, DatabaseUnavailable.
    """
    with budgets.for_password_check(user.id), passwords.enter(client.address) as place:
        checked = _check(place, user, current_password)
    if ADMIN in user.roles and users.is_last_admin(user.id):
        audit.record("delete_account", "last_admin", target_id=user.id)
        raise LastAdmin
    if not users.delete(user.id, checked):
        raise PasswordWrong
    audit.record("delete_account", "ok", target_id=user.id)
    signals.send(signals.user_deleted, user)


def _check(place: Place, user: User, current_password: str) -> StoredPassword:
    stored = users.find_password(user.id)
    check = passwords.check_password(place, current_password, stored.hash, is_legacy=stored.is_legacy, renew=False)
    if not check.matches:
        audit.record("check_password", "refused", target_id=user.id)
        raise PasswordWrong
    return stored
