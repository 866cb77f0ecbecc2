"""The refresh token in a cookie. It is read only if no other site can have sent the request."""

from flask import Response, after_this_request, request

from authservice import errors
from authservice.state import current_state

COOKIE = "__Host-refresh"  # RFC 6265bis section 4.1.3.2: this host alone, over TLS alone, for every path


def refresh_cookie() -> str | None:
    """The refresh token of the cookie. If the token is no longer valid, the answer deletes the cookie.

    Raises CrossSiteRefused if another site may have sent the request.
    """
    token = request.cookies.get(COOKIE)
    if token is None:
        return None
    after_this_request(_drop_spent_cookie)
    if not _is_own_script():
        raise errors.CrossSiteRefused
    return token


def own_refresh_cookie() -> str | None:
    """The refresh token of the cookie, or None, also if another site may have sent the request."""
    return request.cookies.get(COOKIE) if _is_own_script() else None


def set_refresh_cookie(response: Response, token: str, lifetime_seconds: int) -> None:
    response.set_cookie(
        COOKIE, token, max_age=lifetime_seconds, path="/", secure=True, httponly=True, samesite="Strict"
    )


def _is_own_script() -> bool:
    """Forms and links cannot send X-Requested-With, and the preflight forbids it to scripts of other origins."""
    is_cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
    is_listed = request.headers.get("Origin") in current_state().settings["CORS_ORIGINS"]
    return "X-Requested-With" in request.headers and (is_listed or not is_cross_site)


def _drop_spent_cookie(response: Response) -> Response:
    """Delete the cookie after a sign-out, or if its token is no longer valid."""
    if response.status_code in (204, 401):
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
    return response
