"""/users: the tutorial's guarded test route, and your own account."""

from typing import Any

from flask import Response, request

from authservice import errors
from authservice.auth.routes import token_answer
from authservice.auth.schemas import TokenSchema, UserSchema
from authservice.store.users import User
from authservice.users import service
from authservice.users.copies import CopySchema
from authservice.users.schemas import (
    DeletionSchema,
    DeviceListSchema,
    MessageSchema,
    PasswordChangeSchema,
    ProfileChangeSchema,
)
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.cookies import own_refresh_cookie
from authservice.web.documentation import REQUESTED_WITH, SETS_COOKIE
from authservice.web.guards import (
    OF_GUARD,
    OF_GUARD_AT_ANY_LEVEL,
    SECURITY,
    current_session_id,
    current_user,
    jwt_required,
    jwt_required_at_any_level,
)
from authservice.web.step_up import RECENT_SECONDS, require_authentication

_FILE = "account.json"

blueprint = Blueprint("users", __name__, url_prefix="/users", description="Accounts")


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
@jwt_required_at_any_level()
@blueprint.response(200, UserSchema)
@blueprint.refusals(*OF_GUARD_AT_ANY_LEVEL, security=SECURITY)
def show_me() -> User:
    """Show who is signed in

    The current state of the token's account.
    """
    return current_user()


@blueprint.route("/me/export")
@jwt_required()
@blueprint.response(
    200,
    CopySchema,
    headers={"Content-Disposition": {"schema": {"type": "string"}, "example": f'attachment; filename="{_FILE}"'}},
)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def export_account() -> tuple[dict[str, Any], dict[str, str]]:
    """Get a copy of all that is kept about you

    As a file, without secrets: GDPR, article 20. `notInIt` says what is left out. A token reads nearly all of it by the
    other routes too, so it needs no recent sign-in.
    """
    return service.copy_of(current_user()), {"Content-Disposition": f'attachment; filename="{_FILE}"'}


@blueprint.route("/me", methods=["PATCH"])
@jwt_required()
@blueprint.arguments(ProfileChangeSchema)
@blueprint.response(200, UserSchema)
@blueprint.refusals(*OF_GUARD, *OF_BODY, security=SECURITY)
def change_profile(body: dict[str, Any]) -> User:
    """Change the language of your mails, and what the app has added

    What is not sent stays as it is.
    """
    own = {name: body[name] for name in ("language",) if name in body}
    return service.change_profile(current_user(), current_session_id(), body.get("profile", {}), own)


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
    refresh cookie and the header X-Requested-With, the new refresh token is in the cookie. Without `currentPassword` it
    needs a recent sign-in, and with two steps on always a session that took both.
    """
    require_authentication(None if "currentPassword" in body else RECENT_SECONDS)
    replaced = own_refresh_cookie()
    signed_in = service.change_password(
        current_user(),
        current_session_id(),
        body.get("currentPassword"),
        body["newPassword"],
        current_client(),
        request.user_agent.string,
        request.headers.get("Accept-Language"),
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

    It deletes everything in the account and cannot be undone. Without `currentPassword` it needs a recent sign-in, and
    with two steps on always a session that took both.
    """
    require_authentication(None if "currentPassword" in body else RECENT_SECONDS)
    service.delete_account(current_user(), current_session_id(), body.get("currentPassword"), current_client())
    return no_content()
