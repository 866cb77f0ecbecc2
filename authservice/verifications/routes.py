"""Prove an address: ask for a mail, and bring back its link or code."""

from flask import Response, request

from authservice import errors
from authservice.verifications import service
from authservice.verifications.schemas import PasswordVerificationSchema, VerificationSchema
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.guards import OF_GUARD, SECURITY, current_user, jwt_required
from authservice.web.timing import wait_for_the_grid

blueprint = Blueprint("verifications", __name__, description="The proof that an address is the user's")


@blueprint.route("/users/me/email/verification", methods=["POST"])
@jwt_required()
@blueprint.response(202)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def ask_for_verification() -> Response:
    """Ask for a mail to prove your address by

    The mail has a link and a code, the same ones as the last mail while these are good. The answer is the same if
    nothing is sent: the address is proven, you asked within the last minute, or too many mails went to it.
    """
    service.ask_for_verification(current_user(), request.headers.get("Accept-Language"))
    return no_content(status=202)


@blueprint.route("/users/me/email/verification", methods=["PUT"])
@jwt_required()
@blueprint.arguments(VerificationSchema)
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, *OF_BODY, errors.CodeInvalid, security=SECURITY)
def verify_email(body: dict[str, str]) -> Response:
    """Prove your address by what came by mail

    Send the token of the link, or the code, which has five guesses.
    """
    service.verify_email(current_user(), body.get("token"), body.get("code"))
    return no_content()


@blueprint.route("/auth/verification", methods=["PUT"])
@blueprint.arguments(PasswordVerificationSchema)
@blueprint.response(204)
@blueprint.refusals(
    *OF_BODY, errors.CodeInvalid, errors.TooManyAttempts, errors.HashingBusy, errors.DatabaseUnavailable
)
def verify_email_by_password(body: dict[str, str]) -> Response:
    """Prove your address by the link and the password

    For users who may not sign in before. It signs nobody in.
    """
    try:
        service.verify_email_by_password(body["token"], body["password"], current_client())
    except (errors.CodeInvalid, errors.TooManyAttempts, errors.HashingBusy):
        wait_for_the_grid()
        raise
    return no_content()
