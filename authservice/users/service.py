"""The use cases of a user's own account."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from authservice import audit, signals
from authservice.auth.pairs import SignedIn, pair, replacement
from authservice.auth.service import check_current_password
from authservice.auth.starting import end_replaced
from authservice.errors import (
    DatabaseUnavailable,
    DeviceUnknown,
    LastAdmin,
    PasswordWrong,
    TokenInvalid,
)
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.mail import kinds, queue
from authservice.security import new_passwords, passwords
from authservice.store import administration, devices, personal_data, profile_values, profiles, sessions, users
from authservice.store.clock import now
from authservice.store.devices import Device
from authservice.store.users import ADMIN, User
from authservice.users.copies import NOT_IN_IT

_TRIES = 3
_PROFILE_TRIES = 32  # among concurrent changes, one succeeds in each round


def change_profile(
    user: User, session_id: str, changes: Mapping[str, Any], own: Mapping[str, Any] | None = None
) -> User:
    """Set some members of the profile, and the ``language`` if ``own`` has it; the user as it is then.

    Raises ValidationFailed, TokenInvalid if the session has ended, DatabaseUnavailable.
    """
    for _ in range(_PROFILE_TRIES):
        profile = {**user.profile, **changes}
        if changes:
            profile_values.require_small(profile)
        if profiles.change(user.id, session_id, user.profile, changes, own or {}):
            audit.record("change_profile", "ok", target_id=user.id)
            return replace(user, profile=profile, **(own or {}))
        # Another field has changed in the meantime, so the total size must be checked again.
        found = sessions.find(user.id, session_id)
        if found is None:
            raise TokenInvalid
        user, _ = found
    raise DatabaseUnavailable


def change_password(
    user: User,
    session_id: str,
    current_password: str | None,
    new_password: str,
    client: Client,
    user_agent: str,
    accept_language: str | None,
    replaced_refresh_token: str | None,
) -> SignedIn:
    """Set a new password and replace all sessions with a new one. This session ends too: a thief may share it.

    Without ``current_password`` the caller has made sure that the user signed in lately. The user is told by mail. It
    also ends the session of ``replaced_refresh_token``, which may belong to another user.
    Raises ValidationFailed, PasswordWrong, TooManyAttempts, TokenInvalid if the session has ended, HashingBusy,
    DatabaseUnavailable.
    """
    new_passwords.require_hard_to_guess(new_password, user.email, "/newPassword")
    new_hash = None
    with nullcontext() if current_password is None else budgets.for_password_check(user.id):
        for _ in range(_TRIES):
            if current_password is None:
                checked = users.find_password(user.id)
            else:
                with passwords.enter(client.address) as place:
                    checked = check_current_password(place, user, current_password)
            if new_hash is None:
                # Only who knows the password causes an outgoing request, and a slow answer holds no place in the gate.
                new_passwords.require_unbreached(new_password, "/newPassword")
                with passwords.enter(client.address) as place:
                    new_hash = passwords.hash_password(place, new_password)
            found = sessions.find(user.id, session_id)
            if found is None:
                break
            session = replacement(found[1], client.address, user_agent)
            signed_in = pair(user, session)
            notice = queue.notice(kinds.password_changed, user, user_agent, accept_language)
            if sessions.change_password(user.id, checked, new_hash, session_id, session, notice):
                queue.nudge(notice)
                audit.record("change_password", "ok", target_id=user.id, sessionId=session.id)
                end_replaced(replaced_refresh_token, user)
                signals.send(signals.password_changed, user)
                return signed_in
            # The document has changed since the check: a sign-in renewed the hash, or the session has ended.
        audit.record("change_password", "refused", target_id=user.id)
        raise TokenInvalid


def copy_of(user: User) -> dict[str, Any]:
    """All that is kept about the user and may be shown. Raises DatabaseUnavailable."""
    kept = personal_data.find(user.id)
    audit.record("export_account", "ok", target_id=user.id)
    account = {**vars(user), **{name: kept.pop(name) for name in personal_data.OF_ACCOUNT}}
    return {"exportedAt": now(), "user": account, **kept, "notInIt": NOT_IN_IT}


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


def delete_account(user: User, session_id: str, current_password: str | None, client: Client) -> None:
    """Delete the user's document.

    Without ``current_password`` the caller has made sure that the user signed in lately.
    Raises PasswordWrong, TooManyAttempts, LastAdmin, TokenInvalid if the session has ended, HashingBusy,
    DatabaseUnavailable.
    """
    checked = None
    if current_password is not None:
        with budgets.for_password_check(user.id), passwords.enter(client.address) as place:
            checked = check_current_password(place, user, current_password)
    if ADMIN in user.roles and administration.is_last_admin(user.id):
        audit.record("delete_account", "last_admin", target_id=user.id)
        raise LastAdmin
    if not users.delete(user.id, checked, None if checked else session_id):
        raise PasswordWrong if checked else TokenInvalid
    audit.record("delete_account", "ok", target_id=user.id)
    signals.send(signals.user_deleted, user)
