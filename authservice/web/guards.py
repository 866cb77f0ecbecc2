"""Who may pass: ``jwt_required`` with its user lookup, and the answers for those who may not."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jwt as pyjwt
from flask import Flask, Response, g, request
from flask_jwt_extended import JWTManager, get_jwt
from flask_jwt_extended.exceptions import JWTExtendedException

from authservice import errors
from authservice.errors import Refusal
from authservice.security import tokens
from authservice.store import session_batch
from authservice.store.users import User
from authservice.web import problems

P = ParamSpec("P")
T = TypeVar("T")

# How the documentation says that a route is guarded: by one of these, each under its name in documentation.py.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]
SECURITY_BY_COOKIE: list[dict[str, list[str]]] = [{"refreshCookie": []}]
SECURITY_BY_BODY: list[dict[str, list[str]]] = [{}]  # OpenAPI has no scheme for a token in the body
OF_GUARD = (errors.TokenMissing, errors.TokenInvalid, errors.TokenExpired, errors.DatabaseUnavailable)


def jwt_required() -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Guard a route: flask-jwt-extended verifies the token, and the user and the session are read at every request.

    One who was deleted or disabled, or whose session was ended, is refused on the next request.
    Raises TokenMissing, TokenInvalid, TokenExpired, DatabaseUnavailable.
    """

    def guard(route: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(route)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            claims = tokens.verify(bearer_token())
            user = session_batch.find_user(claims.user_id, claims.session_id) if claims.type == "access" else None
            if user is None:
                raise errors.TokenInvalid
            context = g._get_current_object()
            context.user, context.session_id = user, claims.session_id
            context._jwt_extended_jwt = {**claims.payload}  # what flask-jwt-extended's get_jwt() reads
            return route(*args, **kwargs)

        return guarded

    return guard


def roles_required(*roles: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Beneath ``jwt_required``, ours or flask-jwt-extended's: let only users pass who have all of the roles now.

    Raises RoleMissing, and what ``current_user`` raises.
    """

    def guard(route: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(route)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            if not set(roles) <= set(current_user().roles):
                raise errors.RoleMissing
            return route(*args, **kwargs)

        return guarded

    return guard


def current_user() -> User:
    """The user whom ``jwt_required`` let pass.

    Raises TokenMissing, TokenInvalid where flask-jwt-extended's own let pass somebody who is not signed in.
    """
    try:
        user: User = g.user
    except AttributeError:
        raise _not_signed_in() from None
    return user


def current_session_id() -> str:
    """The session of the token that ``jwt_required`` let pass. Raises what ``current_user`` raises."""
    try:
        session_id: str = g.session_id
    except AttributeError:
        raise _not_signed_in() from None
    return session_id


def _not_signed_in() -> Refusal:
    """Why there is no user: a preflight or ``optional=True`` needs no token, ``refresh=True`` took a refresh token.

    Raises RuntimeError where there is no guard at all.
    """
    if request.method == "OPTIONS" or not get_jwt():
        return errors.TokenMissing()
    return errors.TokenInvalid()


def bearer_token() -> str:
    """The token of the Authorization header. Raises TokenMissing.

    The scheme's name has no case (RFC 9110 section 11.1). Of ``Basic x, Bearer y``, which flask-jwt-extended takes,
    nothing is taken.
    """
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise errors.TokenMissing
    return credentials.strip()


def init_app(app: Flask, manager: JWTManager) -> None:
    """Answer 401 with a challenge for whatever a token can be. PyJWT's InvalidKeyError is no InvalidTokenError."""
    app.register_error_handler(pyjwt.PyJWTError, _answer_invalid)
    app.register_error_handler(pyjwt.ExpiredSignatureError, _answer_expired)
    app.register_error_handler(JWTExtendedException, _answer_invalid)
    # For routes under flask-jwt-extended's own jwt_required: the same reads, the same answers.
    manager.user_lookup_loader(_find_user)
    manager.expired_token_loader(_answer_expired)
    manager.unauthorized_loader(_answer_missing)
    manager.invalid_token_loader(_answer_invalid)
    manager.revoked_token_loader(_answer_invalid)
    manager.needs_fresh_token_loader(_answer_invalid)
    manager.user_lookup_error_loader(_answer_invalid)
    manager.token_verification_failed_loader(_answer_invalid)


def _find_user(header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    if claims["type"] != "access":
        return None  # whether a refresh token has been used already is not looked at here
    user = session_batch.find_user(claims["sub"], claims["sid"])
    if user is not None:
        g.user, g.session_id = user, claims["sid"]
    return user


def _answer_expired(*_: Any) -> Response:
    return problems.render(errors.TokenExpired())


def _answer_missing(*_: Any) -> Response:
    return problems.render(errors.TokenMissing())


def _answer_invalid(*_: Any) -> Response:
    return problems.render(errors.TokenInvalid())
