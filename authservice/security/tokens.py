"""Tokens: which claims they carry, how they are signed, and how they are verified."""

import base64
import functools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask
from flask_jwt_extended import create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from authservice.config import ROLES_MAX
from authservice.errors import TokenExpired, TokenInvalid
from authservice.security import claims as claims_of_app
from authservice.security import strict_json
from authservice.state import current_state, in_app

TOKEN_MAX_BYTES = 4_096
_LEEWAY_SECONDS = 5  # a host whose clock is slightly ahead must not be refused
_REMEMBERED_TOKENS = 4_096
_ROLE_MAX_CHARACTERS = 32
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[0-9a-f]{24}")
_SESSION_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_REFRESH_LIFETIME = timedelta(days=365)  # REFRESH_IDLE_DAYS may have changed; the session itself expires
_REFRESH_KEY_INFO = b"authservice: refresh tokens"
_DEVICE_KEY_INFO = b"authservice: device tokens"


@dataclass(frozen=True)
class Claims:
    """What a verified token says. ``expires_at`` is in seconds since the epoch, ``payload`` is all of it."""

    type: str
    user_id: str
    session_id: str
    token_id: str
    expires_at: int
    payload: Mapping[str, Any]


class Holder(Protocol):
    """What an access token says about its user."""

    @property
    def id(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def roles(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, repr=False, eq=False)  # no repr: it holds keys
class TokenPolicy:
    """Lifetimes, limits, keys, and a cache of verified tokens."""

    access_lifetime: timedelta
    idle_lifetime: timedelta
    session_lifetime: timedelta
    grace: timedelta
    max_sessions: int
    access_key: str
    refresh_key: bytes
    device_key: bytes
    issuer: str | None
    audience: str | None
    own_claims: Callable[["Holder"], dict[str, Any]]
    verify_once: Callable[[str], Claims]
    app: Flask  # whose configuration flask-jwt-extended reads; never that of an app that embeds the service


def init_app(app: Flask, settings: Mapping[str, Any]) -> TokenPolicy:
    """Set flask-jwt-extended's options; those that are not settings are fixed here."""
    policy = TokenPolicy(
        access_lifetime=timedelta(seconds=settings["JWT_ACCESS_TOKEN_EXPIRES"]),
        idle_lifetime=timedelta(days=settings["REFRESH_IDLE_DAYS"]),
        session_lifetime=timedelta(days=settings["SESSION_MAX_DAYS"]),
        grace=timedelta(seconds=settings["REFRESH_GRACE_SECONDS"]),
        max_sessions=settings["MAX_SESSIONS"],
        access_key=settings["JWT_SECRET_KEY"],
        refresh_key=derived_key(settings["JWT_SECRET_KEY"], _REFRESH_KEY_INFO),
        device_key=derived_key(settings["JWT_SECRET_KEY"], _DEVICE_KEY_INFO),
        issuer=settings["JWT_ISSUER"],
        audience=settings["JWT_AUDIENCE"],
        own_claims=functools.partial(claims_of_app.own_claims, claims_of_app.function_of(settings)),
        verify_once=functools.lru_cache(_REMEMBERED_TOKENS)(_verify_once),
        app=app,
    )
    app.config.update(
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_TOKEN_LOCATION=["headers"],  # an access token is never read from a cookie or a query string
        JWT_ACCESS_TOKEN_EXPIRES=policy.access_lifetime,
        JWT_DECODE_LEEWAY=_LEEWAY_SECONDS,
        JWT_ENCODE_NBF=False,
        JWT_COOKIE_CSRF_PROTECT=False,  # otherwise every token would carry a csrf claim
        JWT_ENCODE_ISSUER=policy.issuer,
        JWT_DECODE_ISSUER=policy.issuer,
        JWT_ENCODE_AUDIENCE=policy.audience,
        JWT_DECODE_AUDIENCE=policy.audience,
    )
    return policy


def policy() -> TokenPolicy:
    """The policy of the current application."""
    return current_state().tokens


def issue_access(user: Holder, session_id: str, lifetime: timedelta) -> str:
    """An access token. The tutorial's own guard reads the claim ``email``.

    Long roles, and roles beyond ROLES_MAX, are left out: another stack may have stored them without limit, and a guard
    refuses long tokens. Guards read the roles from the user's document anyway.
    Raises InternalError if the app's own claims do not fit.
    """
    short = [role for role in user.roles if len(role) <= _ROLE_MAX_CHARACTERS]
    with in_app(with_request=True):
        own = policy().own_claims(user)
    claims = {**own, "email": user.email, "roles": short[:ROLES_MAX], "sid": session_id}
    with policy().app.app_context():
        token: str = create_access_token(user.id, additional_claims=claims, expires_delta=lifetime)
    if own and len(token) > TOKEN_MAX_BYTES:
        raise claims_of_app.refuse_size(own, TOKEN_MAX_BYTES)
    return token


def issue_refresh(user_id: str, session_id: str, token_id: str, issued_at: datetime, expires_at: datetime) -> str:
    """A refresh token. The same arguments give the same token, so that two tabs can get the same one.

    flask-jwt-extended would sign it with the secret itself, which other services may have for checking access tokens.
    """
    claims: dict[str, Any] = {
        "type": "refresh",
        "sub": user_id,
        "sid": session_id,
        "jti": token_id,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    tokens = policy()
    for claim, value in (("iss", tokens.issuer), ("aud", tokens.audience)):
        if value is not None:
            claims[claim] = value
    return jwt.encode(claims, tokens.refresh_key, "HS256")


def verify(token: str) -> Claims:
    """The claims of a token that we signed and that has not expired. The store knows whether its session has ended.

    Raises TokenInvalid, TokenExpired.
    """
    try:
        claims = policy().verify_once(token)
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, JWTExtendedException):
        raise TokenInvalid from None
    if time.time() >= claims.expires_at + _LEEWAY_SECONDS:
        raise TokenExpired
    return claims


def _verify_once(token: str) -> Claims:
    """Verify a token. The result never changes, so each application caches it.

    Exceptions are not cached, so nobody can fill the cache with forged tokens.
    """
    _require_strict_form(token)
    with policy().app.app_context():
        claims = decode_token(token)
    return Claims(claims["type"], claims["sub"], claims["sid"], claims["jti"], claims["exp"], claims)


def _require_strict_form(token: str) -> None:
    """Refuse what lenient parsers accept: padding, encodings other than UTF-8, duplicate claims.

    Source: RFC 8725 sections 3.7 and 3.11; RFC 7519 section 4.
    """
    if len(token) > TOKEN_MAX_BYTES or not _COMPACT.fullmatch(token):
        raise jwt.InvalidTokenError("not three base64url parts")
    for part in token.split(".")[:2]:
        try:
            padded = part + "=" * (-len(part) % 4)
            members = strict_json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except ValueError:
            raise jwt.InvalidTokenError("not strict JSON in UTF-8") from None
        if not isinstance(members, dict):
            raise jwt.InvalidTokenError("not a JSON object")


def key_for(header: dict[str, Any], claims: dict[str, Any]) -> str | bytes:
    """The key for a token, if its raw claims have exactly the types that we issue.

    This is checked here, before the signature: flask-jwt-extended fills in a missing ``type`` and ``jti`` before any
    later callback, and raises a KeyError or worse for claims of unexpected types.
    """
    if header.get("typ") != "JWT" or "crit" in header or "kid" in header:
        raise jwt.InvalidTokenError("not our header")
    if not (_is_text(claims.get("sub"), _USER_ID) and _is_text(claims.get("sid"), _SESSION_ID)):
        raise jwt.InvalidTokenError("not our user or session")
    tokens = policy()
    lifetimes = {"access": tokens.access_lifetime, "refresh": _LONGEST_REFRESH_LIFETIME}
    token_type, issued_at, expires_at = claims.get("type"), claims.get("iat"), claims.get("exp")
    if not isinstance(token_type, str) or token_type not in lifetimes or not isinstance(claims.get("jti"), str):
        raise jwt.InvalidTokenError("not our type or id")
    if type(issued_at) is not int or type(expires_at) is not int or "nbf" in claims:
        raise jwt.InvalidTokenError("not our times")
    if tokens.issuer is not None and claims.get("iss") != tokens.issuer:  # also for guards that do not check it
        raise jwt.InvalidTokenError("of another issuer")
    if "aud" in claims and tokens.audience is None:
        raise jwt.InvalidTokenError("meant for another audience")  # RFC 7519 section 4.1.3
    if not 0 < expires_at - issued_at <= lifetimes[token_type].total_seconds():
        raise jwt.InvalidTokenError("not our lifetime")
    keys: dict[str, str | bytes] = {"access": tokens.access_key, "refresh": tokens.refresh_key}
    return keys[token_type]


def derived_key(secret: str, info: bytes) -> bytes:
    """A key for one purpose (RFC 5869). Other services may hold the secret itself, to verify access tokens."""
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret.encode())


def _is_text(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
