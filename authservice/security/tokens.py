"""Tokens: which claims ours carry, how they are signed, and which of those shown to us are worth a look."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from flask import Flask, current_app
from flask_jwt_extended import create_access_token

from authservice import extensions
from authservice.security import strict_json

TOKEN_MAX_BYTES = 4_096
_LEEWAY_SECONDS = 5  # a host whose clock is 3 s ahead is no forger
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class Claims:
    """What a verified token says. ``expires_at`` is in seconds since the epoch."""

    user_id: str
    expires_at: int


def init_app(app: Flask) -> None:
    """Set flask-jwt-extended's options; the ones that are nobody's choice stand here and not among the settings."""
    app.config.update(
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=app.config["JWT_ACCESS_TOKEN_EXPIRES"]),
        JWT_DECODE_LEEWAY=_LEEWAY_SECONDS,
        JWT_ENCODE_NBF=False,
        JWT_COOKIE_CSRF_PROTECT=False,  # or a csrf claim rides along in every token
        JWT_ENCODE_ISSUER=app.config["JWT_ISSUER"],
        JWT_DECODE_ISSUER=app.config["JWT_ISSUER"],
        JWT_ENCODE_AUDIENCE=app.config["JWT_AUDIENCE"],
        JWT_DECODE_AUDIENCE=app.config["JWT_AUDIENCE"],
    )
    extensions.jwt.init_app(app)


def access_lifetime() -> timedelta:
    lifetime: timedelta = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return lifetime


def issue_access(user_id: str, email: str, roles: tuple[str, ...]) -> str:
    """An access token. ``email`` is the claim that the tutorial's own guard reads."""
    token: str = create_access_token(user_id, additional_claims={"email": email, "roles": [*roles]})
    return token


def require_strict_form(token: str) -> None:
    """Refuse what lenient parsers let through: padding, other encodings than UTF-8, duplicate claims.

    Raises jwt.InvalidTokenError. Source: RFC 8725 sections 3.7 and 3.11; RFC 7519 section 4.
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


@extensions.jwt.decode_key_loader
def _key_for(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The key, once the raw claims are exactly of the kinds that we issue.

    flask-jwt-extended fills in a missing ``type`` and ``jti`` before any later callback could see that they were
    missing, and raises a KeyError or worse for claims of odd types; so they are checked here, before the signature.
    """
    if header.get("typ") != "JWT" or "crit" in header or "kid" in header:
        raise jwt.InvalidTokenError("not a header of ours")
    subject, issued_at, expires_at = claims.get("sub"), claims.get("iat"), claims.get("exp")
    if not (isinstance(subject, str) and _USER_ID.fullmatch(subject)):
        raise jwt.InvalidTokenError("no user's id")
    if type(issued_at) is not int or type(expires_at) is not int or "nbf" in claims:
        raise jwt.InvalidTokenError("times that are not ours")
    if claims.get("type") != "access" or not isinstance(claims.get("jti"), str):
        raise jwt.InvalidTokenError("no type or id of ours")
    if "aud" in claims and current_app.config["JWT_AUDIENCE"] is None:
        raise jwt.InvalidTokenError("meant for somebody else")  # RFC 7519 section 4.1.3
    if not 0 < expires_at - issued_at <= access_lifetime().total_seconds():
        raise jwt.InvalidTokenError("a lifetime that we never give")
    key: str = current_app.config["JWT_SECRET_KEY"]
    return key


def read(claims: dict[str, Any]) -> Claims:
    """The claims of a token that flask-jwt-extended has verified."""
    return Claims(user_id=claims["sub"], expires_at=claims["exp"])


def is_expired(claims: Claims, now: datetime) -> bool:
    return now.timestamp() >= claims.expires_at + _LEEWAY_SECONDS
