"""Who may pass only soon after a sign-in, or only with two factors. Source: RFC 9470."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Response
from flask_jwt_extended import get_jwt

from authservice.errors import StepUpRequired
from authservice.security.claims import AAL1, AAL2
from authservice.store import factors
from authservice.web.guards import current_user, guarded_by

P = ParamSpec("P")
T = TypeVar("T")


RECENT_SECONDS = 600


def recent_authentication(
    max_age: int = RECENT_SECONDS, acr: str | None = None
) -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Beneath ``jwt_required``: only users pass who signed in, or stepped up, within the last ``max_age`` seconds.

    ``acr="aal2"`` also requires two factors, as does every user who has a second step. Others get 403
    ``step_up_required`` and pass with the token that ``POST /auth/step-up`` answers. It asks no database: the claims
    ``auth_time`` and ``acr`` say it, and a token without them does not pass.

        @app.delete("/projects")
        @jwt_required()
        @recent_authentication(max_age=300)
        def delete_projects(): ...

    It works beneath flask-jwt-extended's own guard too, as ``roles_required`` does.
    Raises ValueError for another age or level.
    """
    if type(max_age) is not int or max_age < 1:
        raise ValueError(f"max_age must be a whole number of seconds, 1 or more, not {max_age!r}")
    if acr not in (None, AAL1, AAL2):
        raise ValueError(f"acr must be {AAL1} or {AAL2}, not {acr!r}")
    return guarded_by(lambda: require_authentication(max_age, acr))


def recent_authentication_to_add_factor() -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Beneath ``jwt_required_at_any_level``: ``recent_authentication``, for adding a factor.

    A user with one of FLASK_SECOND_FACTOR_ROLES who has a passkey must have used one. Otherwise a thief of the password
    could add a factor and act in that role.
    """

    def require() -> None:
        require_authentication()
        user, acr = current_user(), get_jwt().get("acr")
        if acr != AAL2 and factors.are_needed_by(user) and factors.find(user.id).passkeys:
            raise StepUpRequired(RECENT_SECONDS, AAL2)

    return guarded_by(require)


def require_authentication(max_age: int | None = RECENT_SECONDS, acr: str | None = None) -> None:
    """The check of ``recent_authentication``; with ``max_age=None`` any age will do. Raises StepUpRequired."""
    level = AAL2 if current_user().has_second_step else acr
    has_level = level is None or get_jwt().get("acr") in (level, AAL2)
    if not has_level or (max_age is not None and not is_recent(max_age)):
        raise StepUpRequired(max_age, level)


def is_recent(max_age: int) -> bool:
    """Whether the token says that its user signed in, or stepped up, in the last ``max_age`` seconds."""
    auth_time = get_jwt().get("auth_time")
    # If the clock was set back, auth_time is in the future: it must not stay recent until then.
    return isinstance(auth_time, int) and abs(time.time() - auth_time) <= max_age
