"""The use cases of admins and of the command line: managing other users' accounts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from authservice import audit, signals
from authservice.config import ROLES_MAX
from authservice.errors import LastAdmin, RolesFull, UserUnknown
from authservice.limits import operators
from authservice.mail import kinds, queue
from authservice.security import emails, new_passwords, passwords
from authservice.store import administration, factors, lookup, sessions, users
from authservice.store.sessions import Session
from authservice.store.users import ADMIN, User

PAGE_SIZE = 100


def find_user(email: str) -> User:
    """Raises UserUnknown, EmailAmbiguous."""
    for user in find_by_email(email):
        return user
    raise UserUnknown


def all_users() -> Iterator[User]:
    """Every user, read in pages."""
    page = administration.page(None, PAGE_SIZE)
    while page:
        yield from page
        page = administration.page(page[-1].id, PAGE_SIZE)


def find_by_email(email: str) -> list[User]:
    """The user with the e-mail in any case, or an empty list. Raises EmailAmbiguous."""
    user = lookup.find_by_email(emails.spellings(email))
    return [user] if user else []


def page(after: str | None, limit: int) -> list[User]:
    """Up to ``limit`` users in the order of their ids, after the id ``after``."""
    return administration.page(after, limit)


def get_user(user_id: str) -> User:
    """Raises UserUnknown."""
    user = users.find(user_id)
    if user is None:
        raise UserUnknown
    return user


def sessions_of(user: User) -> list[Session]:
    """The user's active sessions, the most recently used first."""
    return sessions.of(user.id)


def end_sessions(user: User) -> None:
    """End every session of the user, effective on the next request, and forget every device."""
    were_alive = sessions.end_all_and_forget_devices(user.id)
    audit.record("end_sessions", "ok", target_id=user.id)
    if were_alive:
        signals.send(signals.signed_out, user)


def change(
    user: User,
    *,
    is_disabled: bool | None = None,
    roles: Sequence[str] | None = None,
    event: str = "change_user",
    keep_an_admin: bool = True,
) -> User:
    """Set what is not None, effective on the user's next request. Returns the changed user.

    Raises UserUnknown, and LastAdmin if no enabled admin would be left.
    """
    stays_admin = ADMIN in (user.roles if roles is None else roles) and not is_disabled
    with _last_admin_stays(event, user, stays_admin or not keep_an_admin):
        _require(
            administration.change(user.id, roles=None if roles is None else sorted(set(roles)), is_disabled=is_disabled)
        )
    audit.record(event, "ok", target_id=user.id, roles=roles, disabled=is_disabled)
    changed = get_user(user.id)
    if is_disabled and not user.is_disabled:
        signals.send(signals.signed_out, changed)
    return changed


def delete(user: User, *, keep_an_admin: bool = True) -> None:
    """Delete the user with everything. Raises UserUnknown, and LastAdmin if no enabled admin would be left."""
    with _last_admin_stays("delete", user, stays_admin=not keep_an_admin):
        if keep_an_admin and _is_working_admin(user):
            _require(administration.change(user.id, is_disabled=True))  # disabling can be undone, so it comes first
    _require(users.delete(user.id))
    audit.record("delete", "ok", target_id=user.id)
    signals.send(signals.user_deleted, user)


@contextmanager
def _last_admin_stays(event: str, user: User, stays_admin: bool) -> Iterator[None]:
    """Refuse a change after which no enabled admin would be left.

    No single write can hold a rule about several documents, so this looks before the change and again after it. If two
    admins disable each other at the same time, each finds nobody left, and both changes are undone. Sessions that a
    change has ended stay ended.
    """
    at_risk = _is_working_admin(user) and not stays_admin
    if at_risk and administration.is_last_admin(user.id):
        audit.record(event, "last_admin", target_id=user.id)
        raise LastAdmin
    yield
    if at_risk and administration.is_last_admin(user.id):
        administration.change(user.id, roles=user.roles, is_disabled=False)
        audit.record(event, "undone", target_id=user.id)
        raise LastAdmin


def _is_working_admin(user: User) -> bool:
    return ADMIN in user.roles and not user.is_disabled


def set_password(user: User, password: str) -> None:
    """Set a new password and end every session, effective on the next request. The user is told by mail.

    Raises ValidationFailed, HashingBusy, UserUnknown.
    """
    new_passwords.require_hard_to_guess(password, user.email)
    new_passwords.require_unbreached(password)
    with passwords.enter(ip=None) as place:
        new_hash = passwords.hash_password(place, password)
    notice = queue.notice(kinds.password_changed, user)
    _require(administration.set_password(user.id, new_hash, notice))
    queue.nudge(notice)
    audit.record("set_password", "ok", target_id=user.id)
    signals.send(signals.password_changed, user)


def reset_factors(user: User) -> None:
    """Remove authenticator app, recovery codes and passkeys, and end every session. The user is told by mail.

    It is for users who have lost them all: from then on the password alone signs in. Raises UserUnknown.
    """
    has_any = user.has_second_step or factors.find(user.id) != factors.NONE
    notice = queue.notice(kinds.factor_removed, user, factor="all") if has_any else None
    _require(factors.reset(user.id, notice))
    queue.nudge(notice)
    audit.record("reset_factors", "ok", target_id=user.id)
    signals.send(signals.signed_out, user)


def verify(user: User) -> None:
    """Mark the user's e-mail as verified, without a mail. Raises UserUnknown."""
    _require(users.verify(user))
    audit.record("verify", "ok", target_id=user.id)


def unlock(user: User) -> None:
    """Refill all budgets of the account, for every client that spent them. Budgets of clients do not change."""
    operators.clear(operators.of_email(user.email, user.id))
    audit.record("unlock", "ok", target_id=user.id)


def grant(user: User, role: str) -> None:
    """Give a role, effective on the user's next request. Raises RolesFull, UserUnknown."""
    if len(user.roles) >= ROLES_MAX and role not in user.roles:
        raise RolesFull
    _require(role in user.roles or administration.grant(user.id, role))
    audit.record("grant", "ok", target_id=user.id, role=role)


def revoke(user: User, role: str) -> None:
    """Take a role away, effective on the user's next request. Raises UserUnknown."""
    _require(administration.revoke(user.id, role))
    audit.record("revoke", "ok", target_id=user.id, role=role)


def _require(was_found: bool) -> None:
    if not was_found:
        raise UserUnknown
