"""A session and its token pair."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from authservice.security import tokens
from authservice.store.clock import now
from authservice.store.sessions import BY_PASSWORD, Session
from authservice.store.users import User

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


def new_session(ip: str | None, user_agent: str, device_id: str | None, amr: tuple[str, ...] = BY_PASSWORD) -> Session:
    """A session that begins now, with an authentication by ``amr`` (RFC 8176). It is valid once it is stored."""
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
        authenticated_at=moment,
        amr=amr,
    )


def replacement(session: Session, ip: str | None, user_agent: str) -> Session:
    """A new session on the same device, which goes on with what the user has proven in the old one."""
    begun = new_session(ip, user_agent, session.device_id, session.amr)
    return replace(begun, authenticated_at=session.authenticated_at)


def successor(session: Session) -> Session:
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
        token=tokens.issue_access(user, session, lifetime),
        expires_in_seconds=int(lifetime.total_seconds()),
        refresh_token=tokens.issue_refresh(
            user.id, session.id, session.refresh_id, session.rotated_at, session.expires_at
        ),
        refresh_expires_in_seconds=round(lives.total_seconds()),
        user=user,
    )
