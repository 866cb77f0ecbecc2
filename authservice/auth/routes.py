"""/auth: sign in, refresh, sign out, your sessions, and the guard for other services."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Response, jsonify, request

from authservice import errors
from authservice.auth import service, signing_in
from authservice.auth.pairs import SignedIn
from authservice.auth.schemas import (
    RefreshSchema,
    ScopeSchema,
    SessionListSchema,
    SignInSchema,
    TokenSchema,
    VerifyQuerySchema,
)
from authservice.auth.starting import Visit
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.cookies import (
    device_cookie,
    own_refresh_cookie,
    refresh_cookie,
    set_device_cookie,
    set_refresh_cookie,
)
from authservice.web.documentation import REQUESTED_WITH, SETS_COOKIE
from authservice.web.guards import (
    OF_GUARD,
    OF_GUARD_AT_ANY_LEVEL,
    SECURITY,
    SECURITY_BY_BODY,
    SECURITY_BY_COOKIE,
    bearer_token,
    current_session_id,
    current_user,
    jwt_required,
)
from authservice.web.step_up import is_recent, require_authentication
from authservice.web.timing import wait_for_the_grid

_TOKENS = TokenSchema()
_DAY_SECONDS = 86_400

blueprint = Blueprint("auth", __name__, url_prefix="/auth", description="Signing in, and your sessions")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SignInSchema)
@blueprint.response(200, TokenSchema, headers=SETS_COOKIE)
@blueprint.refusals(
    *OF_BODY,
    errors.CredentialsInvalid,
    errors.SecondFactorRequired,
    errors.EmailUnverified,
    errors.TooManyAttempts,
    errors.HashingBusy,
    errors.DatabaseUnavailable,
    parameters=[REQUESTED_WITH],
)
def sign_in(body: dict[str, Any]) -> Any:
    """Sign in: exchange an e-mail and a password for tokens

    With `cookie: true` the refresh token is in an HttpOnly cookie and not in the answer. With the header
    X-Requested-With, the session of the replaced cookie ends.

    The service recognises a device by a token: `deviceToken` of the answer, to be sent with the next sign-in, or in
    cookie mode an HttpOnly cookie. It alone lets nobody in.

    Of a user with a second factor, the right password is answered 401 `second_factor_required`, and the factor goes to
    `POST /auth/second`.

    With FLASK_REQUIRE_VERIFIED_EMAIL, a right password for an unproven address is answered 403, and a mail is sent.
    """
    try:
        signed_in = signing_in.sign_in(body["email"], body["password"], visit_of(body))
    except (errors.CredentialsInvalid, errors.TooManyAttempts, errors.HashingBusy):
        wait_for_the_grid()
        raise
    return token_answer(signed_in, by_cookie=body.get("cookie", False))


@blueprint.route("/refresh", methods=["POST"])
@blueprint.arguments(RefreshSchema, required=False, example={})
@blueprint.response(200, TokenSchema, headers=SETS_COOKIE)
@blueprint.refusals(
    *OF_BODY,
    errors.TokenMissing,
    errors.TokenInvalid,
    errors.TokenExpired,
    errors.TokenReused,
    errors.CrossSiteRefused,
    errors.TooManyAttempts,
    errors.DatabaseUnavailable,
    security=[*SECURITY_BY_COOKIE, *SECURITY_BY_BODY],
    parameters=[REQUESTED_WITH],
)
def refresh(body: dict[str, str]) -> Any:
    """Swap a refresh token for a new pair

    Send the token in the body; or send `{}`, the cookie and the header X-Requested-With. A token is good for one use.
    For REFRESH_GRACE_SECONDS after that it gets the same new pair again.
    """
    by_cookie = "refreshToken" not in body
    presented = refresh_cookie() if by_cookie else body["refreshToken"]
    if presented is None:
        raise errors.TokenMissing("Send the refresh token as refreshToken, or in the cookie.")
    return token_answer(service.refresh(presented), by_cookie=by_cookie)


@blueprint.route("", methods=["DELETE"])
@blueprint.arguments(RefreshSchema, required=False, example={})
@blueprint.response(204)
@blueprint.refusals(
    *OF_BODY,
    *OF_GUARD_AT_ANY_LEVEL,
    errors.CrossSiteRefused,
    security=[*SECURITY, *SECURITY_BY_COOKIE, *SECURITY_BY_BODY],
    parameters=[REQUESTED_WITH],
)
def sign_out(body: dict[str, str]) -> Response:
    """Sign out

    It ends the session of the token in the body, in the cookie, or in the Authorization header. It is no error if the
    session has already ended.
    """
    presented = body.get("refreshToken")
    if presented is None and ("X-Requested-With" in request.headers or not _has_bearer()):
        presented = refresh_cookie()
    service.sign_out(bearer_token() if presented is None else presented)
    return no_content()


@blueprint.route("/sessions")
@jwt_required()
@blueprint.response(200, SessionListSchema)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def list_sessions() -> dict[str, Any]:
    """List your sessions

    The most recently used session is first.
    """
    mine = service.list_sessions(current_user())
    return {"sessions": [{**vars(session), "current": session.id == current_session_id()} for session in mine]}


@blueprint.route("/sessions/<session_id>", methods=["DELETE"])
@jwt_required()
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, errors.SessionUnknown, security=SECURITY)
def end_session(session_id: str) -> Response:
    """End one of your sessions

    Its tokens are refused from the next request on. To end another one than that of this request's token, you must have
    signed in, or stepped up, within a day.
    """
    if session_id != current_session_id():
        _require_sign_in_of_a_day()
    service.end_session(current_user(), session_id)
    return no_content()


@blueprint.route("/sessions", methods=["DELETE"])
@jwt_required()
@blueprint.arguments(ScopeSchema, location="query")
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, errors.ValidationFailed, security=SECURITY)
def end_sessions(query: dict[str, str]) -> Response:
    """End all of your sessions, or all but this one

    `scope=others` keeps the session of this request's token. You must have signed in, or stepped up, within a day.
    """
    _require_sign_in_of_a_day()
    service.end_sessions(current_user(), current_session_id() if query["scope"] == "others" else None)
    return no_content()


@blueprint.route("/verify")
@jwt_required()
@blueprint.arguments(VerifyQuerySchema, location="query")
@blueprint.response(
    204,
    headers={
        "X-Auth-User-Id": {"schema": {"type": "string"}},
        "X-Auth-Email": {"schema": {"type": "string"}, "description": "Percent-encoded where it is not plain ASCII"},
        "X-Auth-Roles": {"schema": {"type": "string"}, "description": "Separated by commas"},
    },
)
@blueprint.refusals(*OF_GUARD, errors.RoleMissing, errors.ValidationFailed, security=SECURITY)
def verify(query: dict[str, Any]) -> Response:
    """Check a token for a proxy

    For nginx's auth_request and Traefik's ForwardAuth. The headers of the answer name the user. `maxAge` and `acr` ask
    for a recent sign-in; with either, a user with a second step must have taken it.
    """
    user = current_user()
    if "role" in query and query["role"] not in user.roles:
        raise errors.RoleMissing
    if "maxAge" in query or "acr" in query:
        require_authentication(query.get("maxAge"), query.get("acr"))
    # A role of another stack may have a comma, which would split it: so it is quoted.
    roles = ",".join(_plain(role).replace(",", "%2C") for role in user.roles)
    return no_content({"X-Auth-User-Id": user.id, "X-Auth-Email": _plain(user.email), "X-Auth-Roles": roles})


def visit_of(body: Mapping[str, Any]) -> Visit:
    """What this request says of its sender. The body may have ``cookie`` and ``deviceToken``."""
    by_cookie = body.get("cookie", False)
    return Visit(
        current_client(),
        request.user_agent.string,
        request.headers.get("Accept-Language"),
        own_refresh_cookie() if by_cookie else None,
        device_cookie() if by_cookie else body.get("deviceToken"),
    )


def token_answer(signed_in: SignedIn, *, by_cookie: bool) -> Response:
    """The tokens. With ``by_cookie`` the refresh token is only in the cookie."""
    body = _TOKENS.dump(signed_in)
    if by_cookie:
        del body["refreshToken"]
    if by_cookie or signed_in.device_token is None:
        del body["deviceToken"]
    response = jsonify(body)
    if by_cookie:
        set_refresh_cookie(response, signed_in.refresh_token, signed_in.refresh_expires_in_seconds)
        if signed_in.device_token is not None:
            set_device_cookie(response, signed_in.device_token)
    return response


def _require_sign_in_of_a_day() -> None:
    """Source: OWASP ASVS 5.0, 7.5.2. A session that somebody has taken over must not shut out its user for good."""
    if not is_recent(_DAY_SECONDS):
        require_authentication(_DAY_SECONDS)


def _has_bearer() -> bool:
    return request.headers.get("Authorization", "").lower().startswith("bearer")


def _plain(text: str) -> str:
    """A header's value: ASCII unchanged, the rest as percent-encoded UTF-8 (RFC 9110 section 5.5)."""
    return quote(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~")
