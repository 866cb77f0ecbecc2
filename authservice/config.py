"""Settings: read from FLASK_* variables, checked at start-up, all faults named at once."""

import difflib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

# Ionic's and Angular's development servers, and the web views of Capacitor 3 to 7 and the older Ionic ones.
DEVELOPMENT_ORIGINS = (
    "http://localhost:8100,http://localhost:4200,http://localhost,https://localhost,"
    "capacitor://localhost,ionic://localhost"
)
BODY_MAX_BYTES = 16_384
ROLES_MAX = 32  # they travel in every access token, and in a header to the services behind it
SECRET_MIN_BYTES = 32  # RFC 7518 section 3.2: a key for HS256 has at least the size of its output
PUBLISHED_SECRETS = frozenset(
    {
        # the NestJS and Ionic tutorial whose app this service replaces
        "thisismykickasssecretthatiwilltotallychangelater",
        # jwt.io's debugger, its older and its present example
        "your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        # the RFC 7515 appendix A.1 key, as it is printed there
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        # the documentation of Flask and of Flask-JWT-Extended
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "super-secret",
    }
)


class ConfigurationError(Exception):
    """The service must not start: ``faults`` says why, one sentence a setting."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(["the service cannot start:", *(f"  - {fault}" for fault in faults)]))


@dataclass(frozen=True)
class Setting:
    """One FLASK_* variable. ``default`` is the text that would say the same; None where there is none."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    meaning: str


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}, not {text[:40]!r}")
        return int(text)

    return parse


def _text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _environment(text: str) -> str:
    if text not in ("development", "production"):
        raise ValueError(f"must be development or production, not {text[:40]!r}")
    return text


def _origins(text: str) -> tuple[str, ...]:
    """An exact list. Patterns are refused: flask-cors would match them unanchored, and with credentials."""
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+(:[0-9]+)?", origin) and not re.fullmatch(
            r"[a-z][a-z0-9+.-]*://\[[0-9a-fA-F:]+\](:[0-9]+)?", origin
        ):
            raise ValueError(
                f"must be origins separated by commas, such as https://app.example.com; {origin[:60]!r} is none"
            )
    return origins


def _secret(text: str) -> str:
    if text in PUBLISHED_SECRETS:
        raise ValueError("is a published example that anybody can sign with; make one with: openssl rand -hex 32")
    if len(text.encode("utf-8", "surrogateescape")) < SECRET_MIN_BYTES:
        raise ValueError(f"must have at least {SECRET_MIN_BYTES} bytes; make one with: openssl rand -hex 32")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
    except InvalidKeyError:
        raise ValueError("must not be a key pair's PEM or SSH text; make one with: openssl rand -hex 32") from None
    return text


def _mongo_uri(text: str) -> str:
    """The faults never repeat the URI: it holds a password."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a URI such as mongodb://127.0.0.1:27017/authexample") from None
    if parts.scheme not in ("mongodb", "mongodb+srv") or not parts.netloc:
        raise ValueError("must start with mongodb:// or mongodb+srv:// and name a host")
    if not re.fullmatch(r"/[^/\\. \"$*<>:|?]{1,63}", parts.path):
        raise ValueError("must name the database after the host, such as mongodb://127.0.0.1:27017/authexample")
    return text


def _metrics(text: str) -> str:
    if text not in ("on", "off") and not re.fullmatch(r"[A-Za-z0-9.-]+:[0-9]{1,5}", text):
        raise ValueError(f"must be on, off or an address such as 127.0.0.1:9100, not {text[:40]!r}")
    return text


def _directory(text: str) -> str:
    if not Path(text).is_absolute():
        raise ValueError(f"must be an absolute path, not {text[:80]!r}")
    return text


SETTINGS = (
    Setting("MONGO_URI", _mongo_uri, None, "MongoDB with the database's name; unset: the embedded database"),
    Setting("JWT_SECRET_KEY", _secret, None, "signs the tokens, 32 bytes or more; required with FLASK_MONGO_URI"),
    Setting("ENV", _environment, None, "`production` refuses to start on the embedded database"),
    Setting(
        "INSTANCE_PATH", _directory, None, "where the embedded database and its secret are kept; unset: `instance/`"
    ),
    Setting("MONGO_TIMEOUT_MS", _integer(50, 60_000), "1500", "milliseconds that the database may take to answer"),
    Setting("JWT_ACCESS_TOKEN_EXPIRES", _integer(60, 86_400), "3600", "seconds that an access token lives"),
    Setting(
        "JWT_ISSUER", _text, None, "`iss` of our tokens, and then required in them; unset: none, as in the tutorial"
    ),
    Setting(
        "JWT_AUDIENCE", _text, None, "`aud` of our tokens, and then required in them; unset: none, as in the tutorial"
    ),
    Setting("MAX_SESSIONS", _integer(1, 100), "20", "sessions a user may have; the least recently used one is dropped"),
    Setting("REFRESH_IDLE_DAYS", _integer(1, 365), "30", "days after which an unused session ends"),
    Setting("SESSION_MAX_DAYS", _integer(1, 3_650), "180", "days after which every session ends"),
    Setting("REFRESH_GRACE_SECONDS", _integer(0, 300), "10", "seconds that the last refresh token still gets the pair"),
    Setting("PASSWORD_MIN_LENGTH", _integer(1, 1_024), "8", "code points that a new password must have"),
    Setting("BCRYPT_LOG_ROUNDS", _integer(4, 14), "12", "bcrypt's cost, a power of two; below 10 only for tests"),
    Setting("BCRYPT_CONCURRENCY", _integer(1, 64), "1", "passwords that one worker hashes at a time"),
    Setting("BCRYPT_QUEUE", _integer(0, 1_000), "2", "passwords that may wait for that; more are answered 503"),
    Setting("CORS_ORIGINS", _origins, DEVELOPMENT_ORIGINS, "origins that browsers may call from, separated by commas"),
    Setting("METRICS", _metrics, "on", "`on`: at `/metrics`; `off`; or `HOST:PORT`, where gunicorn listens as well"),
    Setting("TRUSTED_PROXIES", _integer(0, 10), "0", "proxies in front whose X-Forwarded-For and -Proto are believed"),
)


def load(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The checked settings by name; those without a value are None.

    FLASK_NAME wins over the content of the file that FLASK_NAME_FILE names; ``overrides`` win over both.
    Values are read as text and never as JSON, so that a secret made of digits stays one.
    Raises ConfigurationError, which names every fault.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        variable = f"FLASK_{setting.name}"
        try:
            text = _raw(setting, environ, overrides or {})
            values[setting.name] = None if text is None else setting.parse(text)
        except ValueError as fault:
            values[setting.name] = None
            faults.append(f"{variable} {fault}")
    faults += _misspelt(environ)
    given = {setting.name for setting in SETTINGS if _is_given(setting.name, environ, overrides or {})}
    if "MONGO_URI" in given and "JWT_SECRET_KEY" not in given:
        faults.append("FLASK_JWT_SECRET_KEY is required with FLASK_MONGO_URI; make one with: openssl rand -hex 32")
    if values["ENV"] == "production" and "MONGO_URI" not in given:
        faults.append("FLASK_MONGO_URI is required with FLASK_ENV=production: the embedded database is for development")
    if faults:
        raise ConfigurationError(faults)
    return values


def instance_path(settings: Mapping[str, Any]) -> Path:
    """Where the embedded database lives: INSTANCE_PATH, or Flask's own instance folder."""
    return Path(settings["INSTANCE_PATH"] or Flask("authservice").instance_path)


def development_secret(directory: Path) -> str:
    """The secret of an installation on the embedded database: made on first use, readable by its owner alone."""
    path = directory / "jwt-secret"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        descriptor, temporary = tempfile.mkstemp(dir=directory)  # 0600 from the start
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(temporary, path)  # of several workers that start at once, one wins and all read its secret
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
    return path.read_text()


def _raw(setting: Setting, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> str | None:
    variable = f"FLASK_{setting.name}"
    if setting.name in overrides:
        return None if overrides[setting.name] is None else str(overrides[setting.name])
    if variable in environ:
        return environ[variable]
    if f"{variable}_FILE" in environ:
        try:
            return Path(environ[f"{variable}_FILE"]).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot be read from the file in {variable}_FILE: {type(error).__name__}") from None
    return setting.default


def _is_given(name: str, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> bool:
    if name in overrides:
        return overrides[name] is not None
    return f"FLASK_{name}" in environ or f"FLASK_{name}_FILE" in environ


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """A setting that is nearly one of ours is a mistake that would otherwise fail open, in silence."""
    known = {f"FLASK_{setting.name}{end}" for setting in SETTINGS for end in ("", "_FILE")} | {"FLASK_SECRET_KEY"}
    close = {
        variable: difflib.get_close_matches(variable, known, n=1, cutoff=0.88)
        for variable in environ
        if variable.startswith("FLASK_") and variable not in known
    }
    return [f"{variable} is not a setting; did you mean {near[0]}?" for variable, near in close.items() if near]
