"""Who may pass: ``jwt_required`` with its user lookup, and the answers for those who may not."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jwt as pyjwt
from flask import Flask, Response, g, request
from flask_jwt_extended import verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException

from authservice import errors, extensions
from authservice.security import tokens
from authservice.store import users
from authservice.store.users import User
from authservice.web import problems

P = ParamSpec("P")
T = TypeVar("T")

OF_GUARD = (errors.TokenMissing, errors.TokenInvalid, errors.TokenExpired, errors.DatabaseUnavailable)


def jwt_required() -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Guard a route with flask-jwt-extended, behind what it would let through or answer with a 422.

    The user is read at every request: one who was deleted or disabled is refused on the next.
    Raises TokenMissing, TokenInvalid, TokenExpired, DatabaseUnavailable.
    """

    def guard(route: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(route)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            _normalise_authorization()
            verify_jwt_in_request()
            return route(*args, **kwargs)

        return guarded

    return guard


def current_user() -> User:
    """The user whom ``jwt_required`` let pass."""
    user: User = g.user
    return user


def init_app(app: Flask) -> None:
    """Answer 401 with a challenge for whatever a token can be. PyJWT's InvalidKeyError is no InvalidTokenError."""
    app.register_error_handler(pyjwt.PyJWTError, _answer_invalid)
    app.register_error_handler(JWTExtendedException, _answer_invalid)


def _normalise_authorization() -> None:
    """Leave flask-jwt-extended one well-formed ``Bearer`` token to verify.

    The scheme's name has no case (RFC 9110 section 11.1), and of ``Basic x, Bearer y`` it would take the second.
    """
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise errors.TokenMissing
    token = credentials.strip()
    tokens.require_strict_form(token)
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"


@extensions.jwt.user_lookup_loader
def _find_user(header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    user = users.find(tokens.read(claims).user_id)
    if user is None or user.is_disabled:
        return None
    g.user = user
    return user


@extensions.jwt.expired_token_loader
def _answer_expired(*_: Any) -> Response:
    return problems.render(errors.TokenExpired())


@extensions.jwt.unauthorized_loader
def _answer_missing(*_: Any) -> Response:
    return problems.render(errors.TokenMissing())


@extensions.jwt.invalid_token_loader
@extensions.jwt.revoked_token_loader
@extensions.jwt.needs_fresh_token_loader
@extensions.jwt.user_lookup_error_loader
@extensions.jwt.token_verification_failed_loader
def _answer_invalid(*_: Any) -> Response:
    return problems.render(errors.TokenInvalid())
