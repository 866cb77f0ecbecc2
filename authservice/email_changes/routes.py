"""Change the e-mail of an account: ask, confirm, cancel, undo."""

from flask import Response, request

from authservice import errors
from authservice.email_changes import service
from authservice.email_changes.schemas import EmailChangeSchema, EmailConfirmationSchema, EmailUndoSchema
from authservice.mail.render import language_of
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.guards import OF_GUARD, SECURITY, current_session_id, current_user, jwt_required
from authservice.web.step_up import recent_authentication, require_authentication

blueprint = Blueprint("email-changes", __name__, description="A new e-mail for an account")


@blueprint.route("/users/me/email", methods=["PUT"])
@jwt_required()
@recent_authentication()
@blueprint.arguments(EmailChangeSchema)
@blueprint.response(202)
@blueprint.refusals(
    *OF_GUARD,
    *OF_BODY,
    errors.PasswordWrong,
    errors.EmailTaken,
    errors.TooManyAttempts,
    errors.HashingBusy,
    errors.UsersCollectionUnfit,
    security=SECURITY,
)
def change_email(body: dict[str, str]) -> Response:
    """Ask for a new e-mail

    The new address gets a mail with a link and a code, and nothing changes before one of them comes back. Asking again
    for the same address sends the same ones again; another address replaces it. It needs a recent sign-in.
    """
    service.ask(
        current_user(), current_session_id(), body["newEmail"], body["currentPassword"], current_client(), _language()
    )
    return _accepted()


@blueprint.route("/users/me/email/confirmation", methods=["PUT"])
@jwt_required()
@blueprint.arguments(EmailConfirmationSchema)
@blueprint.response(204)
@blueprint.refusals(
    *OF_GUARD, *OF_BODY, errors.CodeInvalid, errors.EmailTaken, errors.UsersCollectionUnfit, security=SECURITY
)
def confirm_email(body: dict[str, str]) -> Response:
    """Confirm the new e-mail by what came by mail

    Your sessions go on. The old address gets a mail with a link that takes the account back within seven days, and
    nobody else can have that address for as long. A code has five guesses. With two steps on, it needs a session that
    took both.
    """
    require_authentication(max_age=None)
    service.confirm(
        current_user(),
        current_session_id(),
        body.get("token"),
        body.get("code"),
        request.user_agent.string,
        _language(),
    )
    return no_content()


@blueprint.route("/users/me/email/change", methods=["DELETE"])
@jwt_required()
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def cancel_email_change() -> Response:
    """Cancel the change of the e-mail that you have asked for

    Its link and code are void. It may be repeated.
    """
    service.cancel(current_user())
    return no_content()


@blueprint.route("/auth/email-undo", methods=["POST"])
@blueprint.arguments(EmailUndoSchema)
@blueprint.response(204)
@blueprint.refusals(*OF_BODY, errors.CodeInvalid, errors.DatabaseUnavailable)
def undo_email_change(body: dict[str, str]) -> Response:
    """Take an account back by the link that its old address got

    The old address is back, whatever has been changed since. All sessions end, all devices are forgotten, and the
    password is void: the address gets a mail to set a new one.
    """
    service.undo(body["token"], _language())
    return no_content()


def _language() -> str:
    return language_of(request.headers.get("Accept-Language"), None)


def _accepted() -> Response:
    """A 202 without a media type: it has no body."""
    response = Response(status=202)
    del response.headers["Content-Type"]
    return response
