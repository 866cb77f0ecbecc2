"""Tokens: which claims they carry, how they are signed, and how they are verified."""

import base64
import functools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from flask import Flask
from flask_jwt_extended import create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from authservice.config.key_set import ALGORITHMS
from authservice.errors import TokenExpired, TokenInvalid
from authservice.security import claims as access_claims
from authservice.security import keys, strict_json
from authservice.security.claims import Holder, SignIn
from authservice.state import current_state, in_app

TOKEN_MAX_BYTES = 4_096
_LEEWAY_SECONDS = 5  # a host whose clock is slightly ahead must not be refused
_REMEMBERED_TOKENS = 4_096
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[0-9a-f]{24}")
_SESSION_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_REFRESH_LIFETIME = timedelta(days=365)  # REFRESH_IDLE_DAYS may have changed; the session itself expires
_REFRESH_KEY_INFO = b"authservice: refresh tokens"
_DEVICE_KEY_INFO = b"authservice: device tokens"
_ONE_TIME_KEY_INFO = b"authservice: one-time links and codes"


@dataclass(frozen=True)
class Claims:
    """What a verified token says. ``expires_at`` is in seconds since the epoch, ``payload`` is all of it."""

    type: str
    user_id: str
    session_id: str
    token_id: str
    expires_at: int
    payload: Mapping[str, Any]


@dataclass(frozen=True, repr=False, eq=False)  # no repr: it holds keys
class TokenPolicy:
    """Lifetimes, limits, keys, and a cache of verified tokens."""

    access_lifetime: timedelta
    idle_lifetime: timedelta
    session_lifetime: timedelta
    grace: timedelta
    max_sessions: int
    refresh_key: bytes
    signing_kid: str | None  # None: access tokens are signed with the secret
    verifying_keys: keys.VerifyingKeys
    jwks: str
    device_keys: tuple[bytes, ...]  # the first signs
    one_time_keys: tuple[bytes, ...]
    issuer: str | None
    audience: str | None
    own_claims: Callable[[Holder], dict[str, Any]]
    verify_once: Callable[[str], Claims]
    app: Flask  # whose configuration flask-jwt-extended reads; never that of an app that embeds the service


def init_app(app: Flask, settings: Mapping[str, Any]) -> TokenPolicy:
    """Set flask-jwt-extended's options; those that are not settings are fixed here."""
    refresh_keys = keys.derived_keys(settings, _REFRESH_KEY_INFO)
    access_keys = [secret.encode() for secret in keys.secrets_of(settings)]
    key_set = settings["JWT_KEYS"] or keys.NO_KEYS
    signer = key_set.signer
    policy = TokenPolicy(
        access_lifetime=timedelta(seconds=settings["JWT_ACCESS_TOKEN_EXPIRES"]),
        idle_lifetime=timedelta(days=settings["REFRESH_IDLE_DAYS"]),
        session_lifetime=timedelta(days=settings["SESSION_MAX_DAYS"]),
        grace=timedelta(seconds=settings["REFRESH_GRACE_SECONDS"]),
        max_sessions=settings["MAX_SESSIONS"],
        refresh_key=refresh_keys[0],
        signing_kid=signer.kid if signer else None,
        verifying_keys=keys.VerifyingKeys(
            {"access": keys.hs256(access_keys), "refresh": keys.hs256(refresh_keys)}, keys.published(key_set)
        ),
        jwks=keys.jwks(key_set),
        device_keys=keys.derived_keys(settings, _DEVICE_KEY_INFO),
        one_time_keys=keys.derived_keys(settings, _ONE_TIME_KEY_INFO),
        issuer=settings["JWT_ISSUER"],
        audience=settings["JWT_AUDIENCE"],
        own_claims=functools.partial(access_claims.own_claims, access_claims.function_of(settings)),
        verify_once=functools.lru_cache(_REMEMBERED_TOKENS)(_verify_once),
        app=app,
    )
    app.config.update(
        JWT_ALGORITHM=signer.algorithm if signer else "HS256",
        JWT_PRIVATE_KEY=signer.private if signer else None,
        JWT_DECODE_ALGORITHMS=["HS256", *ALGORITHMS],  # key_for binds each key to its own
        JWT_TOKEN_LOCATION=["headers"],  # an access token is never read from a cookie or a query string
        JWT_ACCESS_TOKEN_EXPIRES=policy.access_lifetime,
        JWT_DECODE_LEEWAY=_LEEWAY_SECONDS,
        JWT_ENCODE_NBF=False,
        JWT_COOKIE_CSRF_PROTECT=False,  # otherwise every token would carry a csrf claim
        JWT_ENCODE_ISSUER=policy.issuer,
        JWT_ENCODE_AUDIENCE=policy.audience,
        JWT_DECODE_AUDIENCE=policy.audience,
    )
    return policy


def policy() -> TokenPolicy:
    """The policy of the current application."""
    return current_state().tokens


def issue_access(user: Holder, session: SignIn, lifetime: timedelta) -> str:
    """An access token. Raises InternalError if the app's own claims do not fit."""
    with in_app(with_request=True):
        own = policy().own_claims(user)
    claims = {**own, **access_claims.of(user, session)}
    with policy().app.app_context():
        kid = policy().signing_kid
        token: str = create_access_token(
            user.id,
            expires_delta=lifetime,
            additional_claims=claims,
            additional_headers={"kid": kid} if kid else None,
        )
    if own and len(token) > TOKEN_MAX_BYTES:
        raise access_claims.refuse_size(own, TOKEN_MAX_BYTES)
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


def key_for(header: dict[str, Any], claims: dict[str, Any]) -> jwt.PyJWK:
    """The key for a token, if its raw claims have exactly the types that we issue.

    This is checked here, before the signature: flask-jwt-extended fills in a missing ``type`` and ``jti`` before any
    later callback, and raises a KeyError or worse for claims of unexpected types.
    """
    if not (_is_text(claims.get("sub"), _USER_ID) and _is_text(claims.get("sid"), _SESSION_ID)):
        raise jwt.InvalidTokenError("not our user or session")
    tokens = policy()
    lifetimes = {"access": tokens.access_lifetime, "refresh": _LONGEST_REFRESH_LIFETIME}
    token_type, issued_at, expires_at = claims.get("type"), claims.get("iat"), claims.get("exp")
    if not isinstance(token_type, str) or token_type not in lifetimes or not isinstance(claims.get("jti"), str):
        raise jwt.InvalidTokenError("not our type or id")
    if type(issued_at) is not int or type(expires_at) is not int or "nbf" in claims:
        raise jwt.InvalidTokenError("not our times")
    # Signing keys require an issuer. What was signed before there were any stays good: its users are still here.
    is_from_before = tokens.verifying_keys.published and "kid" not in header and "iss" not in claims
    if tokens.issuer is not None and claims.get("iss") != tokens.issuer and not is_from_before:
        raise jwt.InvalidTokenError("of another issuer")
    if "aud" in claims and tokens.audience is None:
        raise jwt.InvalidTokenError("meant for another audience")  # RFC 7519 section 4.1.3
    if not 0 < expires_at - issued_at <= lifetimes[token_type].total_seconds():
        raise jwt.InvalidTokenError("not our lifetime")
    return tokens.verifying_keys.key_for(header, token_type)


def _is_text(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
