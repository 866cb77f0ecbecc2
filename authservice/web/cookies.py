"""The cookies: the refresh token, read only if no other site can have sent the request, and the device's token."""

from flask import Response, after_this_request, request

from authservice import errors
from authservice.state import current_state

# RFC 6265bis section 4.1.3.2: this host alone, over TLS alone, for every path
COOKIE = "__Host-refresh"
DEVICE_COOKIE = "__Host-device"
_DEVICE_LIFETIME_SECONDS = 365 * 24 * 3600  # renewed at every sign-in, and kept at sign-out


def device_cookie() -> str | None:
    """The token of the device. It lets nobody in, so it does not matter which site caused the request."""
    return request.cookies.get(DEVICE_COOKIE)


def set_device_cookie(response: Response, token: str) -> None:
    _set(response, DEVICE_COOKIE, token, _DEVICE_LIFETIME_SECONDS)


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
    _set(response, COOKIE, token, lifetime_seconds)


def _set(response: Response, name: str, token: str, lifetime_seconds: int) -> None:
    response.set_cookie(name, token, max_age=lifetime_seconds, path="/", secure=True, httponly=True, samesite="Strict")


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
