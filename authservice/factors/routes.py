"""/users/me/factors, /users/me/totp, /users/me/recovery-codes: two steps at sign-in, turned on and off."""

from typing import Any

from flask import Response, request

from authservice import errors
from authservice.factors import service
from authservice.factors.schemas import (
    FactorsSchema,
    RecoveryCodeListSchema,
    TotpConfirmationSchema,
    TotpConfirmedSchema,
    TotpSetupSchema,
)
from authservice.store.factors import Factors
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.guards import (
    OF_GUARD,
    OF_GUARD_AT_ANY_LEVEL,
    SECURITY,
    current_session_id,
    current_user,
    jwt_required,
    jwt_required_at_any_level,
)
from authservice.web.step_up import recent_authentication, recent_authentication_to_add_factor

blueprint = Blueprint("factors", __name__, url_prefix="/users/me", description="Two steps at sign-in")


@blueprint.route("/factors")
@jwt_required_at_any_level()
@blueprint.response(200, FactorsSchema)
@blueprint.refusals(*OF_GUARD_AT_ANY_LEVEL, security=SECURITY)
def list_factors() -> Factors:
    """List what you can prove your identity with besides the password

    It names no secret: since when there is an authenticator app, and how many recovery codes and passkeys are left.
    """
    return service.list_factors(current_user())


@blueprint.route("/totp", methods=["POST"])
@jwt_required_at_any_level()
@recent_authentication_to_add_factor()
@blueprint.response(200, TotpSetupSchema)
@blueprint.refusals(*OF_GUARD, errors.SecondFactorsOff, security=SECURITY)
def set_up_totp() -> service.Setup:
    """Set up an authenticator app

    Nothing changes before confirmTotp gets a code of the app, within 15 minutes: an app that is there stays good until
    then.
    """
    return service.set_up_totp(current_user(), current_session_id())


@blueprint.route("/totp", methods=["PUT"])
@jwt_required_at_any_level()
@recent_authentication_to_add_factor()
@blueprint.arguments(TotpConfirmationSchema)
@blueprint.response(200, TotpConfirmedSchema)
@blueprint.refusals(*OF_GUARD, *OF_BODY, errors.CodeInvalid, errors.SecondFactorUnavailable, security=SECURITY)
def confirm_totp(body: dict[str, str]) -> service.Confirmed:
    """Turn two steps on by a code of the app

    From now on the password alone signs nobody in. This session counts as one with two factors. You are told by mail. A
    set-up has five guesses.
    """
    return service.confirm_totp(
        current_user(),
        current_session_id(),
        body["code"],
        request.user_agent.string,
        request.headers.get("Accept-Language"),
    )


@blueprint.route("/totp", methods=["DELETE"])
@jwt_required()
@recent_authentication()
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, errors.SecondFactorNeeded, security=SECURITY)
def remove_totp() -> Response:
    """Turn two steps off

    The app and the recovery codes are void, passkeys stay. You are told by mail. It may be repeated. A user whose role
    needs a second factor must have a passkey first.
    """
    service.remove_totp(
        current_user(), current_session_id(), request.user_agent.string, request.headers.get("Accept-Language")
    )
    return no_content()


@blueprint.route("/recovery-codes", methods=["POST"])
@jwt_required()
@recent_authentication()
@blueprint.response(200, RecoveryCodeListSchema)
@blueprint.refusals(*OF_GUARD, errors.TwoStepsOff, security=SECURITY)
def replace_recovery_codes() -> dict[str, Any]:
    """Get ten new recovery codes

    The old ones are void.
    """
    return {"recovery_codes": service.replace_recovery_codes(current_user(), current_session_id())}
