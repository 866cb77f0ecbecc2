"""/admin: what users with the role admin can do with other accounts."""

from typing import Any

from flask import Response

from authservice import errors
from authservice.admin import service
from authservice.admin.schemas import (
    AdminUserDetailSchema,
    AdminUserSchema,
    PageQuerySchema,
    UserChangeSchema,
    UserPageSchema,
)
from authservice.store.users import ADMIN, User
from authservice.web.blueprint import OF_BODY, Blueprint, no_content
from authservice.web.guards import OF_GUARD, SECURITY, jwt_required, roles_required

blueprint = Blueprint("admin", __name__, url_prefix="/admin/users", description="Managing other users' accounts")
OF_ADMIN = (*OF_GUARD, errors.RoleMissing)


@blueprint.route("")
@jwt_required()
@roles_required(ADMIN)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, UserPageSchema)
@blueprint.refusals(*OF_ADMIN, errors.EmailAmbiguous, errors.ValidationFailed, security=SECURITY)
def list_users(query: dict[str, Any]) -> dict[str, Any]:
    """List users, or find one by e-mail

    Users are in the order of their ids, in pages: send `nextCursor` as `cursor` to get the next page.
    """
    if "email" in query:
        return {"users": service.find_by_email(query["email"]), "nextCursor": None}
    users = service.page(query.get("cursor"), query["limit"])
    return {"users": users, "nextCursor": users[-1].id if len(users) == query["limit"] else None}


@blueprint.route("/<user_id>")
@jwt_required()
@roles_required(ADMIN)
@blueprint.response(200, AdminUserDetailSchema)
@blueprint.refusals(*OF_ADMIN, errors.UserUnknown, security=SECURITY)
def show_user(user_id: str) -> dict[str, Any]:
    """Show a user

    The answer has the user's sessions, the most recently used first.
    """
    user = service.get_user(user_id)
    return {**vars(user), "sessions": service.sessions_of(user)}


@blueprint.route("/<user_id>", methods=["PATCH"])
@jwt_required()
@roles_required(ADMIN)
@blueprint.arguments(UserChangeSchema)
@blueprint.response(200, AdminUserSchema)
@blueprint.refusals(*OF_ADMIN, *OF_BODY, errors.UserUnknown, errors.LastAdmin, security=SECURITY)
def change_user(body: dict[str, Any], user_id: str) -> User:
    """Disable or enable a user, or set the roles

    It takes effect on the user's next request. Send `disabled`, `roles`, or both.
    """
    return service.change(service.get_user(user_id), is_disabled=body.get("disabled"), roles=body.get("roles"))


@blueprint.route("/<user_id>", methods=["DELETE"])
@jwt_required()
@roles_required(ADMIN)
@blueprint.response(204)
@blueprint.refusals(*OF_ADMIN, errors.UserUnknown, errors.LastAdmin, security=SECURITY)
def delete_user(user_id: str) -> Response:
    """Delete a user

    It deletes everything in the account and cannot be undone.
    """
    service.delete(service.get_user(user_id))
    return no_content()


@blueprint.route("/<user_id>/sessions", methods=["DELETE"])
@jwt_required()
@roles_required(ADMIN)
@blueprint.response(204)
@blueprint.refusals(*OF_ADMIN, errors.UserUnknown, security=SECURITY)
def end_user_sessions(user_id: str) -> Response:
    """Sign a user out everywhere

    It ends every session of the user.
    """
    service.end_sessions(service.get_user(user_id))
    return no_content()


@blueprint.route("/<user_id>/factors", methods=["DELETE"])
@jwt_required()
@roles_required(ADMIN)
@blueprint.response(204)
@blueprint.refusals(*OF_ADMIN, errors.UserUnknown, security=SECURITY)
def reset_factors(user_id: str) -> Response:
    """Remove a user's second factors

    The authenticator app, the recovery codes and all passkeys are gone, and every session ends. The user is told by
    mail, and signs in with the password alone.
    """
    service.reset_factors(service.get_user(user_id))
    return no_content()
