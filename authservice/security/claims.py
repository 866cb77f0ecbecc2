"""The claims of access tokens: ours, and what an app adds with the function in CLAIMS, which is checked here."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from authservice import audit
from authservice.config import ROLES_MAX, ConfigurationError, import_named
from authservice.errors import InternalError, Refusal
from authservice.security import strict_json

AAL1, AAL2 = "aal1", "aal2"  # the values of ``acr``: one factor, two factors
_OF_USER = ("sub", "email", "emailVerified", "roles")
_OF_SESSION = ("sid", "auth_time", "amr", "acr")
_OF_STANDARDS = ("jti", "type", "iat", "exp", "fresh", "nbf", "iss", "aud")  # a guard may rely on what they mean
RESERVED = frozenset(_OF_USER + _OF_SESSION + _OF_STANDARDS)
_ROLE_MAX_CHARACTERS = 32
_NAME_MAX_CHARACTERS = 100

log = logging.getLogger(__name__)


class Holder(Protocol):
    """What an access token says about its user."""

    @property
    def id(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def email_verified(self) -> bool: ...
    @property
    def roles(self) -> tuple[str, ...]: ...


class SignIn(Protocol):
    """What an access token says about its session."""

    @property
    def id(self) -> str: ...
    @property
    def authenticated_at(self) -> datetime: ...
    @property
    def amr(self) -> tuple[str, ...]: ...


def of(user: Holder, session: SignIn) -> dict[str, Any]:
    """Our own claims but the registered ones. The tutorial's own guard reads the claim ``email``.

    ``auth_time`` is in seconds (OpenID Connect Core section 2), ``amr`` as in RFC 8176, ``acr`` is aal1 or aal2.
    Long roles, and roles beyond ROLES_MAX, are left out: another stack may have stored them without limit, and a guard
    refuses long tokens. Guards read the roles from the user's document anyway.
    """
    short = [role for role in user.roles if len(role) <= _ROLE_MAX_CHARACTERS]
    return {
        "email": user.email,
        "emailVerified": user.email_verified,
        "roles": short[:ROLES_MAX],
        "sid": session.id,
        "auth_time": int(session.authenticated_at.timestamp()),
        "amr": [*session.amr],
        "acr": AAL2 if "mfa" in session.amr else AAL1,
    }


def function_of(settings: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """The function that CLAIMS names. Raises ConfigurationError."""
    function: Callable[[Any], Any] | None = import_named("FLASK_CLAIMS", settings["CLAIMS"])
    if function is not None and not callable(function):
        fault = f"FLASK_CLAIMS must be a function, and {settings['CLAIMS']} is of type {type(function).__name__}"
        raise ConfigurationError([fault])
    return function


def own_claims(function: Callable[[Any], Any] | None, user: object) -> dict[str, Any]:
    """What the function says about a user, as JSON writes it.

    Raises InternalError where a token cannot carry it. The log has the reason and the claim's name, never its value.
    """
    if function is None:
        return {}
    try:
        said = function(user)
    except Refusal:  # such as DatabaseUnavailable, where it calls our own code
        raise
    except Exception as error:
        log.error("claims_failed", exc_info=audit.without_text(error), extra={"error": type(error).__name__})
        raise InternalError from None
    if not isinstance(said, dict):
        log.error("claims_refused", extra={"reason": f"the function must return a dict, not {type(said).__name__}"})
        raise InternalError
    return {name: _as_json(name, value) for name, value in said.items()}


def refuse_size(claims: Mapping[str, Any], bytes_max: int) -> InternalError:
    """The refusal of a token that became too long, once the largest claim is logged."""
    largest = max(claims, key=lambda name: len(json.dumps(claims[name])))
    return _refuse(largest, f"the access token is over {bytes_max:,} bytes, and this claim is the largest")


def _as_json(name: object, value: object) -> Any:
    if not isinstance(name, str):
        raise _refuse(name, "its name must be text")
    if name in RESERVED:
        raise _refuse(name, "its name is reserved")
    try:
        return strict_json.loads(json.dumps({name: value}))[name]
    except (TypeError, ValueError, RecursionError):
        raise _refuse(name, "its value is not JSON") from None


def _refuse(name: object, reason: str) -> InternalError:
    log.error("claims_refused", extra={"claim": str(name)[:_NAME_MAX_CHARACTERS], "reason": reason})
    return InternalError()
