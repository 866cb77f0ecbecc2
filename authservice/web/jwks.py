"""The public keys at /.well-known/jwks.json, for services that verify access tokens offline."""

from flask import Response
from marshmallow import Schema, fields

from authservice.state import current_state
from authservice.web.blueprint import Blueprint

# PyJWKClient keeps the keys as long, too. ``keys rotate`` waits longer than all of them.
# A cache must not give a page of another origin the answer that a server got, which has no CORS headers.
CACHED = {"Cache-Control": "public, max-age=300", "Vary": "Origin"}

blueprint = Blueprint("keys", __name__, description="The keys that verify access tokens")


class JwkSchema(Schema):
    kty = fields.String(required=True, metadata={"enum": ["EC", "OKP", "RSA"]})
    kid = fields.String(required=True, metadata={"description": "Its thumbprint (RFC 7638)"})
    alg = fields.String(required=True, metadata={"enum": ["ES256", "EdDSA", "RS256"]})
    use = fields.String(required=True, metadata={"enum": ["sig"]})
    crv = fields.String(metadata={"description": "Of EC and OKP"})
    x = fields.String(metadata={"description": "Of EC and OKP"})
    y = fields.String(metadata={"description": "Of EC"})
    n = fields.String(metadata={"description": "Of RSA"})
    e = fields.String(metadata={"description": "Of RSA"})


class JwkSetSchema(Schema):
    keys = fields.List(fields.Nested(JwkSchema), required=True)


@blueprint.route("/.well-known/jwks.json")
@blueprint.response(200, JwkSetSchema)
@blueprint.refusals()
def list_keys() -> Response:
    """List the public keys

    A JWK Set (RFC 7517), with keys that sign later or have signed before. Without FLASK_JWT_KEYS it is empty.
    """
    return Response(current_state().tokens.jwks, mimetype="application/json", headers=CACHED)
