"""Who may pass: ``jwt_required`` with its user lookup, and the answers for those who may not."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, ParamSpec, TypeVar

import jwt as pyjwt
from flask import Flask, Response, current_app, g, request
from flask_jwt_extended import JWTManager, get_jwt

from authservice import errors
from authservice.config import parse_rate
from authservice.errors import Refusal
from authservice.limits import budgets
from authservice.limits.clients import Client
from authservice.security import tokens
from authservice.security.claims import AAL2
from authservice.store import factors, session_batch
from authservice.store.users import User
from authservice.web import problems
from authservice.web.clients import current_client

P = ParamSpec("P")
T = TypeVar("T")

# How the documentation says that a route is guarded: by one of these, each under its name in documentation.py.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]
SECURITY_BY_COOKIE: list[dict[str, list[str]]] = [{"refreshCookie": []}]
SECURITY_BY_BODY: list[dict[str, list[str]]] = [{}]  # OpenAPI has no scheme for a token in the body
OF_GUARD_AT_ANY_LEVEL = (errors.TokenMissing, errors.TokenInvalid, errors.TokenExpired, errors.DatabaseUnavailable)
OF_GUARD = (*OF_GUARD_AT_ANY_LEVEL, errors.StepUpRequired)


def jwt_required() -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Guard a route: only a signed-in user passes, whom ``current_user`` then gives.

    flask-jwt-extended verifies the token; user and session are read at every request, so a user who was deleted or
    disabled, or whose session has ended, is refused on the next request. A refusal is answered here, as
    application/problem+json: 401 with a Bearer challenge (RFC 6750), 503 when the database does not answer.

        @app.get("/todos")
        @jwt_required()
        def todos(): ...
    """
    return guarded_by(_authenticate_at_required_level)


def jwt_required_at_any_level() -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """``jwt_required`` without FLASK_SECOND_FACTOR_ROLES: for routes that lead to a second factor."""
    return guarded_by(_authenticate)


def roles_required(*roles: str) -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Beneath ``jwt_required``: only users pass who have all of the roles now; others get 403 ``role_missing``.

        @app.get("/reports")
        @jwt_required()
        @roles_required("editor")
        def reports(): ...

    It works beneath flask-jwt-extended's own guard too, where that is bound to this service.
    """

    def require_roles() -> None:
        if not set(roles) <= set(current_user().roles):
            raise errors.RoleMissing

    return guarded_by(require_roles)


def verified_email_required() -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Beneath ``jwt_required``: only users pass who have proven their address; others get 403 ``email_unverified``.

        @app.post("/invitations")
        @jwt_required()
        @verified_email_required()
        def invite(): ...

    It works beneath flask-jwt-extended's own guard too, as ``roles_required`` does.
    """

    def require_verified_email() -> None:
        if not current_user().email_verified:
            raise errors.EmailUnverified

    return guarded_by(require_verified_email)


def limited(
    rate: str, by: Literal["client", "user"] = "client"
) -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Limit how often one client, or one user, may call a route; one call too many gets 429 with Retry-After.

    ``rate`` is a number of calls and the time in which all of them come back. "user" needs ``jwt_required`` above.
    All workers count together, in the database; if it does not answer, the answer is 503.

        @app.post("/comments")
        @limited("10/1m", by="client")
        def comment(): ...

    Raises ValueError for another rate or subject.
    """
    try:
        parsed = parse_rate(rate)
    except ValueError as fault:
        raise ValueError(f"rate {fault}") from None
    if by not in ("client", "user"):
        raise ValueError(f"by must be client or user, not {by!r}")

    def limit(route: Callable[P, T]) -> Callable[P, T | Response]:
        name = f"{route.__module__}.{route.__qualname__} {rate}"
        # Views that one factory made have the same name, so the endpoint tells them apart.
        return guarded_by(lambda: budgets.for_route(f"{name} {request.endpoint}", parsed, _caller(by)))(route)

    return limit


def _caller(by: str) -> Client | str:
    return current_client() if by == "client" else current_user().id


def guarded_by(check: Callable[[], None]) -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Refusals of the check are answered and not raised: an app may have a handler of its own for all exceptions."""

    def guard(route: Callable[P, T]) -> Callable[P, T | Response]:
        is_async = inspect.iscoroutinefunction(route)

        @functools.wraps(route)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T | Response:
            try:
                check()
            except Refusal as refusal:
                return problems.render(refusal)
            return (current_app.ensure_sync(route) if is_async else route)(*args, **kwargs)

        return guarded

    return guard


def _authenticate_at_required_level() -> None:
    _authenticate()
    _require_second_factor(g.authservice_user, g._jwt_extended_jwt)


def _require_second_factor(user: User, claims: Mapping[str, Any]) -> None:
    """Raises StepUpRequired."""
    if factors.are_needed_by(user) and claims.get("acr") != AAL2:
        raise errors.StepUpRequired(None, AAL2)


def _authenticate() -> None:
    claims = tokens.verify(bearer_token())
    user = session_batch.find_user(claims.user_id, claims.session_id) if claims.type == "access" else None
    if user is None:
        raise errors.TokenInvalid
    context = g._get_current_object()
    context.authservice_user, context.authservice_session_id = user, claims.session_id
    context._jwt_extended_jwt = {**claims.payload}  # what flask-jwt-extended's get_jwt() reads


def current_user() -> User:
    """The user whom ``jwt_required`` let pass.

        current_user().id  # "5c0dc18d349bc9479600c171"

    Raises TokenMissing or TokenInvalid where flask-jwt-extended's own guard let somebody pass who is not signed in,
    RuntimeError where there is no guard.
    """
    user: User = _of_guard("authservice_user")
    return user


def current_session_id() -> str:
    """The session of the token that ``jwt_required`` let pass. Raises what ``current_user`` raises."""
    session_id: str = _of_guard("authservice_session_id")
    return session_id


def _of_guard(name: str) -> Any:
    """What the guard left. A preflight or ``optional=True`` needs no token, and ``refresh=True`` took a refresh token.

    Raises TokenMissing or TokenInvalid for these, RuntimeError where there is no guard at all.
    """
    left = g.get(name)
    if left is None:
        raise errors.TokenMissing if request.method == "OPTIONS" or not get_jwt() else errors.TokenInvalid
    return left


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
    """Answer 401 with a challenge for every fault of a token. PyJWT's InvalidKeyError is no InvalidTokenError."""
    app.register_error_handler(pyjwt.PyJWTError, _answering(errors.TokenInvalid))
    bind(manager)


def bind(manager: JWTManager) -> None:
    """Routes under flask-jwt-extended's own ``jwt_required`` make the same reads and give the same answers."""
    manager.decode_key_loader(tokens.key_for)
    manager.user_lookup_loader(_find_user)
    manager.expired_token_loader(_answering(errors.TokenExpired))
    manager.unauthorized_loader(_answering(errors.TokenMissing))
    answer_invalid = _answering(errors.TokenInvalid)
    manager.invalid_token_loader(answer_invalid)
    manager.revoked_token_loader(answer_invalid)
    manager.needs_fresh_token_loader(answer_invalid)
    manager.user_lookup_error_loader(answer_invalid)
    manager.token_verification_failed_loader(answer_invalid)


def _find_user(header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    if claims["type"] != "access":
        return None  # whether a refresh token has been used already is not looked at here
    user = session_batch.find_user(claims["sub"], claims["sid"])
    if user is not None:
        g.authservice_user, g.authservice_session_id = user, claims["sid"]
        _require_second_factor(user, claims)
    return user


def _answering(refusal: type[Refusal]) -> Callable[..., Response]:
    return lambda *_: problems.render(refusal())
