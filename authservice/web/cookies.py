"""The refresh token in a cookie: set, and read only where no other site can have caused the request."""

from flask import Response, after_this_request, request

from authservice import errors
from authservice.state import current_state

COOKIE = "__Host-refresh"  # RFC 6265bis section 4.1.3.2: this host alone, over TLS alone, for every path


def refresh_cookie() -> str | None:
    """The refresh token of the cookie, which leaves the browser once it is good for nothing any more.

    Raises CrossSiteRefused where another site may have caused the request.
    """
    token = request.cookies.get(COOKIE)
    if token is None:
        return None
    after_this_request(_drop_spent_cookie)
    if not _is_own_script():
        raise errors.CrossSiteRefused
    return token


def own_refresh_cookie() -> str | None:
    """The refresh token of the cookie; None too where another site may have caused the request."""
    return request.cookies.get(COOKIE) if _is_own_script() else None


def set_refresh_cookie(response: Response, token: str, lifetime_seconds: int) -> None:
    response.set_cookie(
        COOKIE, token, max_age=lifetime_seconds, path="/", secure=True, httponly=True, samesite="Strict"
    )


def _is_own_script() -> bool:
    """No form and no link can send X-Requested-With, and no script of another origin may: the preflight refuses it."""
    is_cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
    is_listed = request.headers.get("Origin") in current_state().settings["CORS_ORIGINS"]
    return "X-Requested-With" in request.headers and (is_listed or not is_cross_site)


def _drop_spent_cookie(response: Response) -> Response:
    """A cookie that was signed out with, or that is good for nothing any more, leaves the browser."""
    if response.status_code in (204, 401):
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
    return response
