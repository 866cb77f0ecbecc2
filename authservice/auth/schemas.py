"""What goes in and out of /auth."""

from marshmallow import Schema, fields

from authservice.web.bodies import Body, Email, Password


class SignInSchema(Body):
    email = Email(required=True, metadata={"example": "natalie@example.com"})
    password = Password(required=True, metadata={"example": "correct horse battery", "format": "password"})


class TokenSchema(Schema):
    expiresIn = fields.Integer(
        attribute="expires_in_seconds", required=True, metadata={"description": "Seconds", "example": 3600}
    )
    token = fields.String(required=True, metadata={"description": "The access token, a JWT"})
    tokenType = fields.Constant("Bearer", required=True, metadata={"type": "string", "example": "Bearer"})
