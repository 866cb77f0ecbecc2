"""/users: sign up, the tutorial's guarded test route, and your own account."""

from typing import Any

from flask import Response, request

from authservice import errors
from authservice.auth.routes import token_answer
from authservice.auth.schemas import TokenSchema, UserSchema
from authservice.security import proof_of_work
from authservice.store.users import User
from authservice.users import service
from authservice.users.schemas import (
    ChallengeSchema,
    DeletionSchema,
    DeviceListSchema,
    MessageSchema,
    PasswordChangeSchema,
    ProfileChangeSchema,
    SignUpSchema,
)
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.cookies import own_refresh_cookie
from authservice.web.documentation import REQUESTED_WITH, SETS_COOKIE
from authservice.web.guards import OF_GUARD, SECURITY, current_session_id, current_user, jwt_required

blueprint = Blueprint("users", __name__, url_prefix="/users", description="Accounts")
# Registered only for an app that has a profile.
profile_blueprint = Blueprint("profile", __name__, url_prefix="/users", description="Fields that the app has added")
# Registered only for an app that requires proofs of work.
challenge_blueprint = Blueprint("challenge", __name__, url_prefix="/users", description="Proof of work")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SignUpSchema)
@blueprint.response(201, UserSchema, headers={"Location": {"schema": {"type": "string"}, "example": "/users/me"}})
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

    It does not sign in: send the same e-mail and password to signIn.
    """
    service.require_proof(body.get("altcha"))
    user = service.sign_up(body["email"], body["password"], body.get("profile"), current_client())
    return user, {"Location": f"{request.script_root}/users/me"}


@challenge_blueprint.route("/challenge")
@challenge_blueprint.response(200, ChallengeSchema)
@challenge_blueprint.refusals()
def issue_challenge() -> dict[str, Any]:
    """Issue a challenge to a client that wants to sign up

    ALTCHA's widget solves it. The solution is good for one sign-up within ten minutes, also if that is refused.
    """
    return proof_of_work.issue_challenge()


@blueprint.route("/test")
@jwt_required()
@blueprint.response(200, MessageSchema)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def try_token() -> dict[str, str]:
    """Try a token

    The tutorial's guarded route: it answers any user who is signed in.
    """
    return {"message": "You did it!"}


@blueprint.route("/me")
@jwt_required()
@blueprint.response(200, UserSchema)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def show_me() -> User:
    """Show who is signed in

    The current state of the token's account.
    """
    return current_user()


@profile_blueprint.route("/me", methods=["PATCH"])
@jwt_required()
@profile_blueprint.arguments(ProfileChangeSchema)
@profile_blueprint.response(200, UserSchema)
@profile_blueprint.refusals(*OF_GUARD, *OF_BODY, security=SECURITY)
def change_profile(body: dict[str, Any]) -> User:
    """Change your profile

    What is not sent stays as it is.
    """
    return service.change_profile(current_user(), current_session_id(), body["profile"])


@blueprint.route("/me/password", methods=["PUT"])
@jwt_required()
@blueprint.arguments(PasswordChangeSchema)
@blueprint.response(200, TokenSchema, headers=SETS_COOKIE)
@blueprint.refusals(
    *OF_GUARD,
    *OF_BODY,
    errors.PasswordWrong,
    errors.TooManyAttempts,
    errors.HashingBusy,
    security=SECURITY,
    parameters=[REQUESTED_WITH],
)
def change_password(body: dict[str, str]) -> Response:
    """Change your password

    It ends all of your sessions and starts a new one: the tokens in the answer replace all earlier ones. With the
    refresh cookie and the header X-Requested-With, the new refresh token is in the cookie.
    """
    replaced = own_refresh_cookie()
    signed_in = service.change_password(
        current_user(),
        current_session_id(),
        body["currentPassword"],
        body["newPassword"],
        current_client(),
        request.user_agent.string,
        replaced,
    )
    return token_answer(signed_in, by_cookie=replaced is not None)


@blueprint.route("/me/devices")
@jwt_required()
@blueprint.response(200, DeviceListSchema)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def list_devices() -> dict[str, Any]:
    """List the devices on which you have signed in

    The most recently seen one is first. At a sign-in the service tells a device by the token that it keeps.
    """
    devices, current_id = service.list_devices(current_user(), current_session_id())
    return {"devices": [{**vars(device), "current": device.id == current_id} for device in devices]}


@blueprint.route("/me/devices/<device_id>", methods=["DELETE"])
@jwt_required()
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, errors.DeviceUnknown, security=SECURITY)
def forget_device(device_id: str) -> Response:
    """Forget one of your devices

    It is treated like an unknown device at the next sign-in. Its sessions go on: endSession ends them.
    """
    service.forget_device(current_user(), device_id)
    return no_content()


@blueprint.route("/me", methods=["DELETE"])
@jwt_required()
@blueprint.arguments(DeletionSchema)
@blueprint.response(204)
@blueprint.refusals(
    *OF_GUARD,
    *OF_BODY,
    errors.PasswordWrong,
    errors.LastAdmin,
    errors.TooManyAttempts,
    errors.HashingBusy,
    security=SECURITY,
)
def delete_account(body: dict[str, str]) -> Response:
    """Delete your account

    It deletes everything in the account and cannot be undone.
    """
    service.delete_account(current_user(), body["currentPassword"], current_client())
    return no_content()
