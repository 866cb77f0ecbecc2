"""What goes in and out of /users: the tutorial's DTOs."""

from marshmallow import Schema, fields

from authservice.security.emails import EMAIL_MAX_CHARACTERS
from authservice.web.bodies import PASSWORD_MAX_CHARACTERS, Body, NewEmail, NewPassword


class SignUpSchema(Body):
    email = NewEmail(
        required=True,
        metadata={"example": "natalie@example.com", "format": "email", "maxLength": EMAIL_MAX_CHARACTERS},
    )
    password = NewPassword(
        required=True,
        metadata={
            "description": "PASSWORD_MIN_LENGTH (8) to 1,024 code points, any but NUL",
            "example": "correct horse battery",
            "format": "password",
            "maxLength": PASSWORD_MAX_CHARACTERS,
        },
    )


class UserSchema(Schema):
    id = fields.String(required=True, metadata={"example": "5c0dc18d349bc9479600c171"})
    email = fields.String(required=True, metadata={"example": "natalie@example.com"})
    roles = fields.List(fields.String(), required=True)
    createdAt = fields.AwareDateTime(attribute="created_at", required=True, allow_none=True)


class MessageSchema(Schema):
    message = fields.String(required=True, metadata={"example": "You did it!"})
