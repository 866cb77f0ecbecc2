"""Devices: the token that a device keeps, the id that the user's document has of it, and its label."""

import hashlib
import hmac
import re
import secrets

from authservice.security import tokens

_ID_HEX_DIGITS = 32  # 128 bits, and as many of the MAC behind them
_WELL_FORMED = re.compile(rf"[0-9a-f]{{{2 * _ID_HEX_DIGITS}}}")
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


def own(token: str | None) -> str | None:
    """The token if this service has issued it, else None: nobody can make tokens up, or have a weak one registered."""
    if token is None or not _WELL_FORMED.fullmatch(token):
        return None
    device = token[:_ID_HEX_DIGITS]
    is_own = any(hmac.compare_digest(token, _signed(device, key)) for key in tokens.policy().device_keys)
    return token if is_own else None


def new_token() -> str:
    return _signed(secrets.token_hex(_ID_HEX_DIGITS // 2), tokens.policy().device_keys[0])


def id_of(token: str) -> str:
    """What is stored and shown. Nobody can find the token from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def label_of(user_agent: str) -> str:
    """What a user can tell devices apart by, such as ``Firefox on Linux`` or ``curl``."""
    product = _PRODUCT.match(user_agent)
    program = _first(_BROWSERS, user_agent) or (product[0] if product else "Unknown")
    system = _first(_SYSTEMS, user_agent)
    return f"{program} on {system}" if system else program


def _signed(device: str, key: bytes) -> str:
    return device + hmac.digest(key, device.encode(), "sha256").hex()[:_ID_HEX_DIGITS]


def _first(names: dict[str, str], user_agent: str) -> str | None:
    return next((name for mark, name in names.items() if mark in user_agent), None)
