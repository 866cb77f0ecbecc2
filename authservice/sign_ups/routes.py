"""POST /users in its two modes, the confirmation of the private one, and the challenge that both may require."""

from typing import Any

from flask import request

from authservice import errors
from authservice.auth.schemas import UserSchema
from authservice.mail.render import language_of
from authservice.security import proof_of_work
from authservice.sign_ups import service
from authservice.sign_ups.schemas import (
    ChallengeSchema,
    SignUpConfirmationSchema,
    SignUpRequestedSchema,
    SignUpSchema,
)
from authservice.store.users import User
from authservice.web.blueprint import OF_BODY, Blueprint
from authservice.web.clients import current_client

# One of the two is registered, as FLASK_SIGN_UP says.
blueprint = Blueprint("sign-ups", __name__, url_prefix="/users", description="Signing up")
private_blueprint = Blueprint("private-sign-ups", __name__, url_prefix="/users", description="Signing up")
# Registered only for an app that requires proofs of work.
challenge_blueprint = Blueprint("challenge", __name__, url_prefix="/users", description="Proof of work")

LOCATION = {"Location": {"schema": {"type": "string"}, "example": "/users/me"}}


@blueprint.route("", methods=["POST"], tags=["users"])
@blueprint.arguments(SignUpSchema)
@blueprint.response(201, UserSchema, headers=LOCATION)
@blueprint.refusals(
    *OF_BODY,
    errors.EmailTaken,
    errors.TooManyAttempts,
    errors.HashingBusy,
    errors.UsersCollectionUnfit,
    errors.DatabaseUnavailable,
)
def sign_up(body: dict[str, Any]) -> tuple[User, dict[str, str]]:
    """Sign up: create an account

    It does not sign in: send the same e-mail and password to signIn. A mail asks to prove the address.
    """
    service.require_proof(body.get("altcha"))
    accept_language = request.headers.get("Accept-Language")
    user = service.sign_up(body["email"], body["password"], body.get("profile"), current_client(), accept_language)
    return user, _location()


@private_blueprint.route("", methods=["POST"], tags=["users"])
@private_blueprint.arguments(SignUpSchema)
@private_blueprint.response(202, SignUpRequestedSchema)
@private_blueprint.refusals(*OF_BODY, errors.TooManyAttempts, errors.UsersCollectionUnfit, errors.DatabaseUnavailable)
def ask_for_sign_up(body: dict[str, Any]) -> dict[str, str]:
    """Sign up: ask for a mail to create an account by

    The answer is the same whether an account has the address or not. The mail tells, and has a link and a code. The
    password is checked but not kept: confirmSignUp sets it.
    """
    service.require_proof(body.get("altcha"))
    language = language_of(request.headers.get("Accept-Language"), None)
    handle = service.ask_for_sign_up(body["email"], body["password"], body.get("profile"), language, current_client())
    return {"signUpId": handle}


@private_blueprint.route("/confirmation", methods=["POST"], tags=["users"])
@private_blueprint.arguments(SignUpConfirmationSchema)
@private_blueprint.response(201, UserSchema, headers=LOCATION)
@private_blueprint.refusals(
    *OF_BODY, errors.CodeInvalid, errors.HashingBusy, errors.UsersCollectionUnfit, errors.DatabaseUnavailable
)
def confirm_sign_up(body: dict[str, Any]) -> tuple[User, dict[str, str]]:
    """Create an account by what came by mail

    It does not sign in. The password may be another one than was sent to askForSignUp. A code has five guesses.
    """
    user = service.confirm_sign_up(
        body.get("token"),
        body.get("signUpId"),
        body.get("code"),
        body["password"],
        body.get("profile"),
        current_client(),
    )
    return user, _location()


def _location() -> dict[str, str]:
    return {"Location": f"{request.script_root}/users/me"}


@challenge_blueprint.route("/challenge")
@challenge_blueprint.response(200, ChallengeSchema)
@challenge_blueprint.refusals()
def issue_challenge() -> dict[str, Any]:
    """Issue a challenge to a client that wants to sign up

    ALTCHA's widget solves it. The solution is good for one sign-up within ten minutes, also if that is refused.
    """
    return proof_of_work.issue_challenge()
