"""What goes in and out of /users: the tutorial's DTOs."""

from marshmallow import Schema, fields

from authservice.web.bodies import Body, NewEmail, NewPassword, Password


class SignUpSchema(Body):
    email = NewEmail(required=True)
    password = NewPassword(required=True)


class PasswordChangeSchema(Body):
    currentPassword = Password(required=True)
    newPassword = NewPassword(required=True, metadata={"example": "an even longer secret"})


class DeletionSchema(Body):
    currentPassword = Password(required=True)


class UserSchema(Schema):
    id = fields.String(required=True, metadata={"example": "5c0dc18d349bc9479600c171"})
    email = fields.String(required=True, metadata={"example": "natalie@example.com"})
    roles = fields.List(fields.String(), required=True)
    createdAt = fields.AwareDateTime(attribute="created_at", required=True, allow_none=True)


class MessageSchema(Schema):
    message = fields.String(required=True, metadata={"example": "You did it!"})
