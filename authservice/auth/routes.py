"""/auth: sign in."""

from authservice import errors
from authservice.auth import service
from authservice.auth.schemas import SignInSchema, TokenSchema
from authservice.auth.service import SignedIn
from authservice.web.bodies import OF_BODY, Blueprint

blueprint = Blueprint("auth", __name__, url_prefix="/auth", description="Signing in")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SignInSchema)
@blueprint.response(200, TokenSchema)
@blueprint.refusals(*OF_BODY, errors.CredentialsInvalid, errors.HashingBusy, errors.DatabaseUnavailable)
def sign_in(body: dict[str, str]) -> SignedIn:
    """Sign in: exchange an e-mail and a password for a token"""
    return service.sign_in(body["email"], body["password"])
