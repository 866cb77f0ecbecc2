"""The second step of a sign-in, and a further proof within a session."""

from typing import Any

from flask import Response

from authservice import errors
from authservice.auth.pairs import SignedIn
from authservice.auth.routes import token_answer, visit_of
from authservice.auth.schemas import TokenSchema
from authservice.step_up import service
from authservice.step_up.judging import Proof
from authservice.step_up.schemas import SecondStepSchema, StepUpSchema, StepUpTokenSchema
from authservice.web.blueprint import OF_BODY, Blueprint
from authservice.web.documentation import REQUESTED_WITH, SETS_COOKIE
from authservice.web.guards import (
    OF_GUARD_AT_ANY_LEVEL,
    SECURITY,
    current_session_id,
    current_user,
    jwt_required_at_any_level,
)

blueprint = Blueprint("step-up", __name__, url_prefix="/auth", description="Second factors at a sign-in, and later")


@blueprint.route("/second", methods=["POST"])
@blueprint.arguments(SecondStepSchema, example={"continuation": "what POST /auth answered", "totp": "123456"})
@blueprint.response(200, TokenSchema, headers=SETS_COOKIE)
@blueprint.refusals(
    *OF_BODY,
    errors.SecondFactorWrong,
    errors.TooManyAttempts,
    errors.SecondFactorUnavailable,
    errors.DatabaseUnavailable,
    parameters=[REQUESTED_WITH],
)
def continue_sign_in(body: dict[str, Any]) -> Response:
    """Sign in, second step: exchange the continuation and a second factor for tokens

    Send the `continuation` that `POST /auth` answered, and exactly one of the methods. The answer, `cookie` and
    `deviceToken` are those of `POST /auth`. Five wrong codes of the app are free. Then there is a minute to wait, which
    doubles up to an hour, and after a hundred only another method or an admin opens the account.
    """
    signed_in = service.sign_in(body["continuation"], _proof_of(body), visit_of(body))
    return token_answer(signed_in, by_cookie=body.get("cookie", False))


@blueprint.route("/step-up", methods=["POST"])
@jwt_required_at_any_level()
@blueprint.arguments(StepUpSchema, example={"password": "correct horse battery"})
@blueprint.response(200, StepUpTokenSchema)
@blueprint.refusals(
    *OF_GUARD_AT_ANY_LEVEL,
    *OF_BODY,
    errors.PasswordWrong,
    errors.SecondFactorWrong,
    errors.StepUpRequired,
    errors.TooManyAttempts,
    errors.HashingBusy,
    errors.SecondFactorUnavailable,
    security=SECURITY,
)
def step_up(body: dict[str, Any]) -> SignedIn:
    """Step up: prove again who you are, for what needs a recent sign-in

    The session stays, and the new access token says when and how (`auth_time`, `amr`, `acr`). The password alone does
    only for a user without a second step.
    """
    user, session_id, visit = current_user(), current_session_id(), visit_of({})
    if "password" in body:
        return service.step_up_by_password(user, session_id, body["password"], visit)
    return service.step_up(user, session_id, _proof_of(body), visit)


def _proof_of(body: dict[str, Any]) -> Proof:
    return Proof(body.get("totp"), body.get("recoveryCode"), body.get("passkey"))
