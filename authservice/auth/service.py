"""The use cases of signing in, and of sessions."""

import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from authservice import audit, metrics, signals
from authservice.errors import (
    CredentialsInvalid,
    DatabaseUnavailable,
    SessionUnknown,
    TokenExpired,
    TokenInvalid,
    TokenReused,
)
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.security import devices, emails, passwords, tokens
from authservice.security.tokens import Claims
from authservice.store import lookup, sessions, users
from authservice.store.devices import Device
from authservice.store.sessions import Session
from authservice.store.users import User, now

_TRIES = 3
_USER_AGENT_MAX_CHARACTERS = 256


@dataclass(frozen=True)
class SignedIn:
    """A token pair and its user."""

    token: str
    expires_in_seconds: int
    refresh_token: str
    refresh_expires_in_seconds: int
    user: User
    device_token: str | None = None  # only of a sign-in


def sign_in(
    email: str,
    password: str,
    client: Client,
    user_agent: str,
    replaced_refresh_token: str | None = None,
    device_token: str | None = None,
) -> SignedIn:
    """Exchange an e-mail and a password for a session.

    The new session replaces the session of ``replaced_refresh_token``, which may belong to another user.
    ``device_token`` is what the device kept from an earlier sign-in of any user; the user has this device from now on.
    Unknown e-mail, wrong password, disabled user and broken hash get the same refusal after the same work.
    Raises CredentialsInvalid, TooManyAttempts, HashingBusy, DatabaseUnavailable.
    """
    shown_token = devices.own(device_token)
    device_token = shown_token or devices.new_token()
    device_id = devices.id_of(device_token)
    kind = "new"
    with budgets.for_sign_in(client, email, device_id if shown_token else None) as attempt:
        for _ in range(_TRIES):
            # First: under overload most are refused here, which must be cheap.
            with passwords.enter(client.address, shows_device=shown_token is not None) as place:
                found = lookup.find_with_password(emails.spellings(email), device_id)
                user, stored, knows_device = found if found else (None, users.NO_PASSWORD, False)
                may_sign_in = user is not None and not user.is_disabled
                is_known = knows_device and may_sign_in
                kind = "known" if is_known else "new"
                counts = is_known and attempt.take_of_device()
                passwords.check_device(place, user.id if user and counts else None)
                attempt.take_of_stranger()
                check = passwords.check_password(
                    place, password, stored.hash, is_legacy=stored.is_legacy, renew=may_sign_in
                )
            if user is None or not may_sign_in or not check.matches:
                break
            session = new_session(client.address, user_agent, device_id)
            signed_in = replace(pair(user, session), device_token=device_token)
            device = Device(device_id, devices.label_of(user_agent), session.created_at, session.created_at)
            keep, renewed = tokens.policy().max_sessions, check.renewed_hash
            if sessions.start(user.id, stored, session, keep, renewed, device, is_known=is_known):
                metrics.sign_ins.labels("ok", kind).inc()
                audit.record("sign_in", "ok", actor_id=user.id, target_id=user.id, sessionId=session.id, device=kind)
                end_replaced(replaced_refresh_token, user)
                signals.send(signals.signed_in, user)
                return signed_in
            # The document has changed since the check: another sign-in renewed the hash or added the device, or the
            # password is new.
        metrics.sign_ins.labels("refused", kind).inc()
        audit.record("sign_in", "refused", target_id=user.id if user else None)
        raise CredentialsInvalid


def refresh(refresh_token: str) -> SignedIn:
    """Swap a refresh token for its successor; each is good for one use.

    The previous token gets the current pair again for REFRESH_GRACE_SECONDS, for two tabs or a lost answer. Any older
    token ends the session.
    Raises TokenInvalid, TokenExpired, TokenReused, TooManyAttempts, DatabaseUnavailable.
    Source: RFC 9700 section 4.14.
    """
    claims = tokens.verify(refresh_token)
    if claims.type != "refresh":
        raise TokenInvalid
    budgets.for_refresh(claims.session_id)
    user, session = _find(claims)
    if session.expires_at <= now():
        raise TokenExpired
    if claims.token_id == session.refresh_id:
        successor = _successor(session)
        signed_in = pair(user, successor)
        if sessions.rotate(user.id, successor):
            _record_refresh("ok", user, session)
            return signed_in
        user, session = _find(claims)  # another request was faster; the stored state decides
    # If the clock was set back, rotated_at is in the future: the grace must not last until then.
    if session.previous_id == claims.token_id and abs(now() - session.rotated_at) <= tokens.policy().grace:
        _record_refresh("again", user, session)
        return pair(user, session)
    was_alive = sessions.end(user.id, session.id)
    _record_refresh("token_reused", user, session, logging.WARNING)
    if was_alive:
        signals.send(signals.signed_out, user)
    raise TokenReused


def _record_refresh(outcome: str, user: User, session: Session, level: int = logging.INFO) -> None:
    audit.record("refresh", outcome, actor_id=user.id, target_id=user.id, level=level, sessionId=session.id)


def _find(claims: Claims) -> tuple[User, Session]:
    found = sessions.find(claims.user_id, claims.session_id)
    if found is None:
        raise TokenInvalid
    return found


def sign_out(token: str) -> None:
    """End the session of an access or refresh token, unless it has already ended.

    Raises TokenInvalid, TokenExpired, DatabaseUnavailable.
    """
    claims = tokens.verify(token)
    was_alive = sessions.end(claims.user_id, claims.session_id)
    outcome = "ok" if was_alive else "already_ended"
    audit.record("sign_out", outcome, actor_id=claims.user_id, target_id=claims.user_id, sessionId=claims.session_id)
    if was_alive:
        _send_signed_out(claims.user_id)


def end_replaced(refresh_token: str | None, by: User) -> None:
    """End the session whose refresh token the browser is about to lose, also if it belongs to another user.

    An invalid token ends nothing. The new session exists already, so no failure is reported.
    """
    if refresh_token is None:
        return
    with suppress(TokenInvalid, TokenExpired, DatabaseUnavailable):
        old = tokens.verify(refresh_token)
        if sessions.end(old.user_id, old.session_id):
            audit.record("sign_out", "replaced", actor_id=by.id, target_id=old.user_id, sessionId=old.session_id)
            _send_signed_out(old.user_id)


def _send_signed_out(user_id: str) -> None:
    """The user is read only if a receiver is connected. The session has ended, so no failure is reported."""
    if signals.is_heard(signals.signed_out):
        with suppress(DatabaseUnavailable):
            user = users.find(user_id)
            if user is not None:
                signals.send(signals.signed_out, user)


def list_sessions(user: User) -> list[Session]:
    """The user's active sessions, the most recently used first. Raises DatabaseUnavailable."""
    return sessions.of(user.id)


def end_session(user: User, session_id: str) -> None:
    """Raises SessionUnknown, DatabaseUnavailable."""
    if not sessions.end(user.id, session_id):
        raise SessionUnknown
    audit.record("sign_out", "ok", target_id=user.id, sessionId=session_id)
    signals.send(signals.signed_out, user)


def end_sessions(user: User, but: str | None) -> None:
    """End all sessions of the user, except the session ``but``. Raises DatabaseUnavailable."""
    were_alive = sessions.end_all(user.id, but)
    audit.record("sign_out", "others" if but else "all", target_id=user.id, sessionId=but)
    if were_alive:
        signals.send(signals.signed_out, user)


def new_session(ip: str | None, user_agent: str, device_id: str | None) -> Session:
    """A session that begins now. It is valid once it is stored."""
    moment = now()
    return Session(
        id=secrets.token_hex(16),
        refresh_id=secrets.token_hex(16),
        previous_id=None,
        rotated_at=moment,
        created_at=moment,
        last_used_at=moment,
        expires_at=_expiry(moment, moment),
        user_agent=user_agent[:_USER_AGENT_MAX_CHARACTERS],
        ip=ip,
        device_id=device_id,
    )


def _successor(session: Session) -> Session:
    moment = now()
    return replace(
        session,
        refresh_id=secrets.token_hex(16),
        previous_id=session.refresh_id,
        rotated_at=moment,
        last_used_at=moment,
        expires_at=_expiry(session.created_at, moment),
    )


def _expiry(created_at: datetime, last_used_at: datetime) -> datetime:
    policy = tokens.policy()
    return min(last_used_at + policy.idle_lifetime, created_at + policy.session_lifetime)


def pair(user: User, session: Session) -> SignedIn:
    """The tokens of a session. It is stored after them: if the app's own claims fail, nothing has happened.

    Raises InternalError.
    """
    lives = session.expires_at - now()
    lifetime = min(tokens.policy().access_lifetime, lives)
    return SignedIn(
        token=tokens.issue_access(user, session.id, lifetime),
        expires_in_seconds=int(lifetime.total_seconds()),
        refresh_token=tokens.issue_refresh(
            user.id, session.id, session.refresh_id, session.rotated_at, session.expires_at
        ),
        refresh_expires_in_seconds=round(lives.total_seconds()),
        user=user,
    )
