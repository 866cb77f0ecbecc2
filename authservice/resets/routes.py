"""Resets: a mail for who has forgotten the password, and the new password by its link or code."""

from typing import Any

from flask import Response, jsonify, request

from authservice import errors
from authservice.mail.render import language_of
from authservice.resets import service
from authservice.resets.schemas import DeviceTokenSchema, ResetRequestedSchema, ResetRequestSchema, ResetSchema
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.cookies import set_device_cookie
from authservice.web.documentation import SETS_COOKIE

blueprint = Blueprint("resets", __name__, url_prefix="/auth", description="Links and codes that come by mail")


@blueprint.route("/reset", methods=["POST"])
@blueprint.arguments(ResetRequestSchema)
@blueprint.response(202, ResetRequestedSchema)
@blueprint.refusals(*OF_BODY, errors.TooManyAttempts, errors.DatabaseUnavailable)
def ask_for_reset(body: dict[str, str]) -> dict[str, str]:
    """Ask for a mail to set a new password by

    The answer is the same whether an account has the address or not. The mail has a link and a code.
    """
    language = language_of(request.headers.get("Accept-Language"), None)
    return {"resetId": service.ask_for_reset(body["email"], language, current_client())}


@blueprint.route("/reset", methods=["PUT"])
@blueprint.arguments(ResetSchema)
@blueprint.response(204, headers=SETS_COOKIE)
@blueprint.alt_response(200, schema=DeviceTokenSchema)
@blueprint.refusals(*OF_BODY, errors.CodeInvalid, errors.HashingBusy, errors.DatabaseUnavailable)
def reset_password(body: dict[str, Any]) -> Response:
    """Set a new password by what came by mail

    It ends all of your sessions and signs nobody in. The device is known from then on: by the cookie, or with
    `deviceToken: true` by the token in the answer. A code has five guesses.
    """
    device_token = service.reset_password(
        body.get("token"),
        body.get("resetId"),
        body.get("code"),
        body["newPassword"],
        current_client(),
        request.user_agent.string,
    )
    if body.get("deviceToken", False):
        return jsonify(deviceToken=device_token)
    response = no_content()
    set_device_cookie(response, device_token)
    return response
