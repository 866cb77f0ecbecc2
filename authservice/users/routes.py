"""/users: sign up, the tutorial's guarded test route, and oneself."""

from authservice import errors
from authservice.store.users import User
from authservice.users import service
from authservice.users.schemas import MessageSchema, SignUpSchema, UserSchema
from authservice.web.bodies import OF_BODY, Blueprint
from authservice.web.guards import OF_GUARD, current_user, jwt_required

blueprint = Blueprint("users", __name__, url_prefix="/users", description="Accounts")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SignUpSchema)
@blueprint.response(201, UserSchema, headers={"Location": {"schema": {"type": "string"}, "example": "/users/me"}})
@blueprint.refusals(*OF_BODY, errors.EmailTaken, errors.HashingBusy, errors.DatabaseUnavailable)
def create(body: dict[str, str]) -> tuple[User, dict[str, str]]:
    """Create an account"""
    return service.sign_up(body["email"], body["password"]), {"Location": "/users/me"}


@blueprint.route("/test")
@jwt_required()
@blueprint.response(200, MessageSchema)
@blueprint.refusals(*OF_GUARD)
@blueprint.doc(security=[{"bearer": []}])
def test() -> dict[str, str]:
    """Try a token: the tutorial's guarded route"""
    return {"message": "You did it!"}


@blueprint.route("/me")
@jwt_required()
@blueprint.response(200, UserSchema)
@blueprint.refusals(*OF_GUARD)
@blueprint.doc(security=[{"bearer": []}])
def me() -> User:
    """Show who is signed in"""
    return current_user()
