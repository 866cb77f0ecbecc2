"""The use cases of sessions: refresh, sign out, list, end."""

import logging

from authservice import audit, signals
from authservice.auth import pairs
from authservice.auth.pairs import SignedIn
from authservice.errors import PasswordWrong, SessionUnknown, TokenExpired, TokenInvalid, TokenReused
from authservice.limits import budgets
from authservice.security import passwords, tokens
from authservice.security.hashing_gate import Place
from authservice.security.tokens import Claims
from authservice.store import sessions, users
from authservice.store.clock import now
from authservice.store.sessions import Session
from authservice.store.users import StoredPassword, User


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
        successor = pairs.successor(session)
        signed_in = pairs.pair(user, successor)
        if sessions.rotate(user.id, successor):
            _record_refresh("ok", user, session)
            return signed_in
        user, session = _find(claims)  # another request was faster; the stored state decides
    # If the clock was set back, rotated_at is in the future: the grace must not last until then.
    if session.previous_id == claims.token_id and abs(now() - session.rotated_at) <= tokens.policy().grace:
        _record_refresh("again", user, session)
        return pairs.pair(user, session)
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
        signals.send_after(signals.signed_out, claims.user_id)


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


def check_current_password(place: Place, user: User, current_password: str) -> StoredPassword:
    """For a change that a stolen token alone must not do. Raises PasswordWrong, HashingBusy, DatabaseUnavailable."""
    stored = users.find_password(user.id)
    check = passwords.check_password(place, current_password, stored.hash, is_legacy=stored.is_legacy, renew=False)
    if not check.matches:
        audit.record("check_password", "refused", target_id=user.id)
        raise PasswordWrong
    return stored
