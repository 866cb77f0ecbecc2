"""Read and check the settings at start, and name every fault."""

import difflib
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from authservice.config import keys, legacy, mail, passkeys, production
from authservice.config.setting import Setting
from authservice.config.settings import SETTINGS

PREFIX = "FLASK_"
OURS = frozenset(f"{PREFIX}{setting.name}{end}" for setting in SETTINGS for end in ("", "_FILE"))
FLASKS_OWN = frozenset({"FLASK_APP", "FLASK_DEBUG", "FLASK_SKIP_DOTENV"})
FLASK_RUN = "FLASK_RUN_"  # the options of `flask run`
GUNICORNS_OWN = ("HOST", "PORT", "WEB_CONCURRENCY")
# Without these the service would start with the wrong database and the wrong secret.
NEVER_WITHOUT_PREFIX = ("MONGO_URI", "JWT_SECRET_KEY")
NO = ("0", "false", "no", "")  # as Flask reads it
RESEMBLANCE = 0.8

log = logging.getLogger(__name__)


class ConfigurationError(Exception):
    """The service must not start: ``faults`` says why, one sentence a setting.

    Its text is for the person who starts the service:

        try:
            app = create_app()
        except ConfigurationError as error:
            sys.exit(str(error))
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(["the service cannot start:", *(f"  - {fault}" for fault in faults)]))


def load(
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    is_embedded: bool = False,
    has_client: bool = False,
) -> dict[str, Any]:
    """The checked settings by name; None for those without a value.

    FLASK_NAME wins over the file that FLASK_NAME_FILE names, and ``overrides`` win over both.
    Values are text, never JSON, so that a secret made of digits stays text.
    ``is_embedded``: another app embeds the service, and may have FLASK_* variables of its own. ``has_client``: it
    brings its client of MongoDB.
    Raises ConfigurationError, which names every fault.
    """
    overrides = overrides or {}
    faults: list[str] = []
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            raw = _raw(setting, environ, overrides)
            values[setting.name] = None if raw is None else setting.parse(raw)
        except ValueError as fault:
            values[setting.name] = None
            faults.append(f"{PREFIX}{setting.name} {fault}")
    given = {setting.name for setting in SETTINGS if _is_given(setting.name, environ, overrides)}
    if "APP_URL" not in given and not is_embedded:
        values["APP_URL"] = mail.app_url_of(environ)
    if values["ENV"] != "production" and not is_embedded:
        values |= passkeys.development_of(environ, given)
    faults += _unknown_overrides(overrides, "AuthService" if is_embedded else "create_app")
    if is_embedded:
        _warn_of_near_misses(environ)
    else:
        faults += _unknown_variables(environ)
        faults += [
            f"{name} is not read; did you mean {PREFIX}{name}?"
            for name in NEVER_WITHOUT_PREFIX
            if name in environ and name not in given
        ]
    if has_client and "JWT_SECRET_KEY" not in given:
        faults.append("FLASK_JWT_SECRET_KEY is required with mongo; make one with: openssl rand -hex 32")
    elif "MONGO_URI" in given and "JWT_SECRET_KEY" not in given:
        faults.append("FLASK_JWT_SECRET_KEY is required with FLASK_MONGO_URI; make one with: openssl rand -hex 32")
    faults += (
        keys.faults_of(given)
        + mail.faults_of(given)
        + legacy.faults_of(values, given)
        + passkeys.faults_of(values, given)
    )
    can_enrol = given & {"ENCRYPTION_KEYS", "PASSKEY_RP_ID"} or values["PASSKEY_RP_ID"] is not None
    if values["SECOND_FACTOR_ROLES"] and (has_client or "MONGO_URI" in given) and not can_enrol:
        faults.append(
            "FLASK_SECOND_FACTOR_ROLES needs FLASK_ENCRYPTION_KEYS or FLASK_PASSKEY_RP_ID: "
            "nobody could set up a second factor"
        )
    if values["ENV"] == "production":
        faults += production.faults_of(values, given | {"MONGO_URI"} if has_client else given)
        if environ.get("FLASK_DEBUG", "0").lower() not in NO:
            faults.append("FLASK_DEBUG must not be set with FLASK_ENV=production")
    if faults:
        raise ConfigurationError(faults)
    return values


def value_of(name: str, environ: Mapping[str, str]) -> Any:
    """One setting alone, for commands that do without the others. Raises ConfigurationError."""
    setting = next(setting for setting in SETTINGS if setting.name == name)
    try:
        raw = _raw(setting, environ, {})
        return None if raw is None else setting.parse(raw)
    except ValueError as fault:
        raise ConfigurationError([f"{PREFIX}{name} {fault}"]) from None


def read_files(environ: Mapping[str, str]) -> dict[str, str]:
    """FLASK_NAME with its text, for each setting that comes from a readable file."""
    found = {}
    for setting in SETTINGS:
        variable = f"{PREFIX}{setting.name}"
        if variable not in environ and f"{variable}_FILE" in environ:
            with suppress(ValueError):
                found[variable] = _content(setting, environ[f"{variable}_FILE"])
    return found


def _raw(setting: Setting, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Any:
    variable = f"{PREFIX}{setting.name}"
    override = overrides.get(setting.name)
    if override is not None:
        return override if setting.takes_object else str(override)
    if setting.name in overrides:
        return setting.default
    if variable in environ:
        return environ[variable]
    if f"{variable}_FILE" in environ:
        return _content(setting, environ[f"{variable}_FILE"])
    return setting.default


def _content(setting: Setting, path: str) -> str:
    variable = f"{PREFIX}{setting.name}"
    if Path(path).exists() and not Path(path).is_file():  # reading a pipe may never end
        raise ValueError(f"cannot be read from the file in {variable}_FILE: it is not a regular file")
    if setting.is_private and Path(path).exists() and Path(path).stat().st_mode & 0o077:
        raise ValueError(f"is refused: others can read the file in {variable}_FILE; chmod 600 it")
    try:
        text = Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        hint = f"; make it with: {setting.made_by}" if setting.made_by else ""
        raise ValueError(f"cannot be read from the file in {variable}_FILE: {type(error).__name__}{hint}") from None
    if "\0" in text:  # an environment variable cannot contain one either
        raise ValueError(f"cannot be read from the file in {variable}_FILE: it contains a NUL")
    return text


def _is_given(name: str, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> bool:
    if name in overrides:
        return overrides[name] is not None
    return f"{PREFIX}{name}" in environ or f"{PREFIX}{name}_FILE" in environ


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """An unknown name would be ignored, or reach a Flask extension without any check."""
    for variable in _unknown_in(environ):
        yield f"{variable} is not a setting{_hint(variable)}"


def _unknown_in(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in environ:
        is_known = variable in OURS or variable in FLASKS_OWN or variable.startswith(FLASK_RUN)
        if variable.startswith(PREFIX) and not is_known:
            yield variable


def _warn_of_near_misses(environ: Mapping[str, str]) -> None:
    for variable in _unknown_in(environ):
        if near := _nearest(variable, OURS):
            log.warning("%s is not a setting of authservice; did you mean %s?", variable, near)


def _unknown_overrides(overrides: Mapping[str, Any], given_to: str) -> Iterator[str]:
    for name in overrides:
        if name not in {setting.name for setting in SETTINGS}:
            yield f"{name}, given to {given_to}, is not a setting{_hint(f'{PREFIX}{name}', PREFIX)}"


def _hint(variable: str, without: str = "") -> str:
    name = variable.removeprefix(PREFIX)
    if name in GUNICORNS_OWN:
        return f"; gunicorn reads {name}, without {PREFIX}"
    near = _nearest(variable, OURS | FLASKS_OWN)
    return f"; did you mean {near.removeprefix(without)}?" if near else ""


def _nearest(variable: str, names: frozenset[str]) -> str | None:
    return next(iter(difflib.get_close_matches(variable.upper(), names, n=1, cutoff=RESEMBLANCE)), None)
