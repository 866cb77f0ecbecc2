"""Passkeys: sign in by one, and look after your own."""

from typing import Any

from flask import Response, request

from authservice import errors
from authservice.auth.routes import token_answer, visit_of
from authservice.auth.schemas import TokenSchema
from authservice.passkeys import service
from authservice.passkeys.schemas import (
    EmptySchema,
    PasskeyListSchema,
    PasskeySchema,
    PasskeySignInSchema,
    RegistrationOptionsSchema,
    RegistrationSchema,
    RenamingSchema,
    SignInOptionsSchema,
)
from authservice.security.passkey_challenges import encoded
from authservice.store.passkeys import Passkey
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.clients import current_client
from authservice.web.documentation import REQUESTED_WITH, SETS_COOKIE
from authservice.web.guards import (
    OF_GUARD,
    SECURITY,
    current_session_id,
    current_user,
    jwt_required,
    jwt_required_at_any_level,
)
from authservice.web.step_up import recent_authentication, recent_authentication_to_add_factor
from authservice.web.timing import wait_for_the_grid

blueprint = Blueprint("passkeys", __name__, description="Passkeys: signing in without a password")


@blueprint.route("/auth/passkey/options", methods=["POST"])
@blueprint.arguments(EmptySchema, required=False, example={})
@blueprint.response(200, SignInOptionsSchema)
@blueprint.refusals(*OF_BODY, errors.TooManyAttempts)
def get_sign_in_options(_: dict[str, Any]) -> dict[str, Any]:
    """Get what a passkey is to answer

    For `PublicKeyCredential.parseRequestOptionsFromJSON` and `navigator.credentials.get`, also with
    `mediation: "conditional"`. They are the same for all, and good for signIn by passkey, the second step and the
    step-up.
    """
    return service.sign_in_options(current_client())


@blueprint.route("/auth/passkey", methods=["POST"])
@blueprint.arguments(PasskeySignInSchema)
@blueprint.response(200, TokenSchema, headers=SETS_COOKIE)
@blueprint.refusals(
    *OF_BODY,
    errors.CredentialsInvalid,
    errors.EmailUnverified,
    errors.TooManyAttempts,
    errors.DatabaseUnavailable,
    parameters=[REQUESTED_WITH],
)
def sign_in_by_passkey(body: dict[str, Any]) -> Any:
    """Sign in by a passkey

    It answers like signIn, and asks for no second step: the device has verified its user. Every fault of the
    credential is the same 401.
    """
    try:
        signed_in = service.sign_in(body["credential"], visit_of(body))
    except (errors.CredentialsInvalid, errors.TooManyAttempts):
        wait_for_the_grid()
        raise
    return token_answer(signed_in, by_cookie=body.get("cookie", False))


@blueprint.route("/users/me/passkeys")
@jwt_required()
@blueprint.response(200, PasskeyListSchema)
@blueprint.refusals(*OF_GUARD, security=SECURITY)
def list_passkeys() -> dict[str, Any]:
    """List your passkeys

    Each has the name that you gave it, and when it was added and last used.
    """
    return {"passkeys": [_shown(passkey) for passkey in service.of(current_user())]}


@blueprint.route("/users/me/passkeys/options", methods=["POST"])
@jwt_required_at_any_level()
@recent_authentication_to_add_factor()
@blueprint.arguments(EmptySchema, required=False, example={})
@blueprint.response(200, RegistrationOptionsSchema)
@blueprint.refusals(*OF_GUARD, *OF_BODY, errors.PasskeysFull, security=SECURITY)
def get_registration_options(_: dict[str, Any]) -> dict[str, Any]:
    """Get what a new passkey is made from

    For `PublicKeyCredential.parseCreationOptionsFromJSON` and `navigator.credentials.create`. They name the passkeys
    that you have, so that no device makes a second one.
    """
    return service.registration_options(current_user())


@blueprint.route("/users/me/passkeys", methods=["POST"])
@jwt_required_at_any_level()
@recent_authentication_to_add_factor()
@blueprint.arguments(RegistrationSchema)
@blueprint.response(201, PasskeySchema)
@blueprint.refusals(
    *OF_GUARD,
    *OF_BODY,
    errors.PasskeyInvalid,
    errors.PasskeyKnown,
    errors.PasskeysFull,
    security=SECURITY,
)
def add_passkey(body: dict[str, Any]) -> dict[str, Any]:
    """Add a passkey

    You can have at most ten, and you are told by mail. The password signs in as before.
    """
    added = service.register(current_user(), current_session_id(), body["credential"], body.get("name"), *_visitor())
    return _shown(added)


@blueprint.route("/users/me/passkeys/<passkey_id>", methods=["PATCH"])
@jwt_required()
@recent_authentication()
@blueprint.arguments(RenamingSchema)
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, *OF_BODY, errors.PasskeyUnknown, security=SECURITY)
def rename_passkey(body: dict[str, str], passkey_id: str) -> Response:
    """Rename one of your passkeys

    The name is for you alone: authenticators keep the name of the account.
    """
    service.rename(current_user(), passkey_id, body["name"])
    return no_content()


@blueprint.route("/users/me/passkeys/<passkey_id>", methods=["DELETE"])
@jwt_required()
@recent_authentication()
@blueprint.response(204)
@blueprint.refusals(*OF_GUARD, errors.PasskeyUnknown, errors.LastWayIn, errors.SecondFactorNeeded, security=SECURITY)
def delete_passkey(passkey_id: str) -> Response:
    """Delete one of your passkeys

    It signs in no more, and you are told by mail. Your sessions go on. If you have no password, one passkey stays; also
    if a role of yours needs a second factor and two steps are off.
    """
    service.delete(current_user(), passkey_id, *_visitor())
    return no_content()


def _shown(passkey: Passkey) -> dict[str, Any]:
    return {**vars(passkey), "id": encoded(passkey.id)}


def _visitor() -> tuple[str, str | None]:
    return request.user_agent.string, request.headers.get("Accept-Language")
