"""Devices: the token that a device keeps, the id that the user's document has of it, and its label."""

import hashlib
import re
import secrets

_WELL_FORMED = re.compile(r"[0-9a-f]{32}")
# The first that is found: Edge and Opera also call themselves Chrome, and everybody calls himself Safari.
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")  # RFC 9110 section 10.1.5, less its odd characters


def well_formed(token: str | None) -> str | None:
    """The token, or None if it cannot be one of ours."""
    return token if token is not None and _WELL_FORMED.fullmatch(token) else None


def new_token() -> str:
    return secrets.token_hex(16)


def id_of(token: str) -> str:
    """What is stored and shown. Nobody can find the token from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def label_of(user_agent: str) -> str:
    """What a user can tell devices apart by, such as ``Firefox on Linux`` or ``curl``."""
    product = _PRODUCT.match(user_agent)
    program = _first(_BROWSERS, user_agent) or (product[0] if product else "Unknown")
    system = _first(_SYSTEMS, user_agent)
    return f"{program} on {system}" if system else program


def _first(names: dict[str, str], user_agent: str) -> str | None:
    return next((name for mark, name in names.items() if mark in user_agent), None)
