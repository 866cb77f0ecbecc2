"""What goes in and out of /auth."""

from marshmallow import Schema, fields

from authservice.security.emails import EMAIL_MAX_CHARACTERS
from authservice.web.bodies import PASSWORD_MAX_CHARACTERS, Body, Email, Password


class SignInSchema(Body):
    email = Email(required=True, metadata={"example": "natalie@example.com", "maxLength": EMAIL_MAX_CHARACTERS})
    password = Password(
        required=True,
        metadata={
            "example": "correct horse battery",
            "format": "password",
            "minLength": 1,
            "maxLength": PASSWORD_MAX_CHARACTERS,
        },
    )


class TokenSchema(Schema):
    expiresIn = fields.Integer(
        attribute="expires_in_seconds", required=True, metadata={"description": "Seconds", "example": 3600}
    )
    token = fields.String(required=True, metadata={"description": "The access token, a JWT"})
    tokenType = fields.Constant("Bearer", required=True, metadata={"type": "string", "example": "Bearer"})
