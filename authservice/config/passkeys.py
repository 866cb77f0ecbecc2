"""The settings of passkeys: for which domain they are, and which pages and apps may use them."""

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Any

from authservice.config.setting import Setting

# Where the development servers of Ionic, Angular and Vite are.
_DEVELOPMENT_PORTS = (8100, 4200, 5173)
_SERVED_PORT = "3000"
_ANDROID = "android:apk-key-hash:"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_HTTPS = re.compile(r"https://([a-z0-9.-]+)(:[1-9][0-9]{0,4})?")
_HTTP = re.compile(r"http://localhost(:[1-9][0-9]{0,4})?")
_APP = re.compile(rf"{_ANDROID}[A-Za-z0-9_-]{{43}}")  # the SHA-256 of a certificate in base64url
_EXAMPLE = "must be the domain of your pages, such as example.com"


def _rp_id(text: str) -> str:
    """Source: WebAuthn Level 3 section 5.1.3: a domain, never an address."""
    if _is_address(text) or text.rpartition(".")[2].isdecimal():
        raise ValueError(f"{_EXAMPLE}, or localhost for development; not an IP address: {text[:80]!r}")
    if len(text) > 253 or not _HOST.fullmatch(text):
        raise ValueError(f"{_EXAMPLE}, in lower case and without scheme and port, not {text[:80]!r}")
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _origins(text: str) -> tuple[str, ...]:
    """An exact list: what a browser or a phone writes into what the authenticator signs."""
    origins = tuple(dict.fromkeys(origin.strip() for origin in text.split(",")))
    for origin in origins:
        if not any(form.fullmatch(origin) for form in (_HTTPS, _HTTP, _APP)) or origin.endswith((":443", ":80")):
            raise ValueError(
                "must be origins separated by commas, such as https://app.example.com, http://localhost:3000 or "
                f"{_ANDROID} with 43 characters, without path and standard port, not {origin[:80]!r}"
            )
    return origins


PASSKEY_SETTINGS = (
    Setting(
        "PASSKEY_RP_ID",
        _rp_id,
        None,
        "the domain that passkeys are for, such as `example.com`; unset: no passkeys, but with the embedded database "
        "`localhost`",
    ),
    Setting(
        "PASSKEY_ORIGINS",
        _origins,
        None,
        "the origins of the pages and apps that use them, separated by commas, at that domain or beneath it",
    ),
)
_NAMES = tuple(setting.name for setting in PASSKEY_SETTINGS)


def development_of(environ: Mapping[str, str], given: Collection[str]) -> dict[str, Any]:
    """Passkeys of a newcomer's own machine: the service's own pages, and the usual development servers."""
    if not {"MONGO_URI", *_NAMES}.isdisjoint(given):
        return {}
    port = environ.get("PORT", "")
    ports = (port if port.isdecimal() else _SERVED_PORT, *_DEVELOPMENT_PORTS)
    origins = tuple(f"http://localhost:{port}" for port in ports)
    return dict(zip(_NAMES, ("localhost", origins), strict=True))


def faults_of(values: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """One sentence for each fault of the two settings together. A value of None is reported already."""
    missing = [name for name in _NAMES if name not in given]
    if len(missing) == 1:
        (other,) = {*_NAMES} - {*missing}
        return [f"FLASK_{missing[0]} is required with FLASK_{other}"]
    rp_id, origins = (values[name] for name in _NAMES)
    if rp_id is None or origins is None:
        return []
    hosts = {origin: re.sub(r":[0-9]+$", "", origin.partition("://")[2]) for origin in origins if "://" in origin}
    found = [
        f"FLASK_PASSKEY_ORIGINS must be at {rp_id} or beneath it, as FLASK_PASSKEY_RP_ID says, not {origin}"
        for origin, host in hosts.items()
        if host != rp_id and not ("." in rp_id and host.endswith(f".{rp_id}"))
    ]
    if values["ENV"] == "production":
        found += [
            f"FLASK_PASSKEY_ORIGINS must have no {origin} with FLASK_ENV=production: it is for development"
            for origin in hosts
            if origin.startswith("http://")
        ]
    return found
