"""The bodies and answers of /users: the tutorial's DTOs."""

from marshmallow import Schema, fields

from authservice.web.fields import NewEmail, NewPassword, Password, Text
from authservice.web.parsing import Body
from authservice.web.profile import ProfiledBody


class SignUpSchema(ProfiledBody):
    email = NewEmail(required=True)
    password = NewPassword(required=True)
    altcha = Text(
        metadata={
            "description": "The solution of a challenge, as ALTCHA's widget writes it: required if FLASK_PROOF_OF_WORK"
            " is on, else ignored",
            "example": "eyJjaGFsbGVuZ2UiOiAuLi59",
        }
    )


class ChallengeParametersSchema(Schema):
    algorithm = fields.String(required=True, metadata={"example": "PBKDF2/SHA-256"})
    nonce = fields.String(required=True)
    salt = fields.String(required=True)
    cost = fields.Integer(required=True, metadata={"example": 1_000})
    keyLength = fields.Integer(required=True, metadata={"example": 32})
    keyPrefix = fields.String(required=True, metadata={"example": "000"})
    expiresAt = fields.Integer(required=True, metadata={"description": "In seconds since the epoch"})


class ChallengeSchema(Schema):
    parameters = fields.Nested(ChallengeParametersSchema, required=True)
    signature = fields.String(required=True)


class ProfileChangeSchema(ProfiledBody):
    is_change = True


class PasswordChangeSchema(Body):
    currentPassword = Password(required=True)
    newPassword = NewPassword(required=True, metadata={"example": "an even longer secret"})


class DeletionSchema(Body):
    currentPassword = Password(required=True)


class DeviceSchema(Schema):
    id = fields.String(required=True, metadata={"description": "64 hexadecimal digits, and not the device's token"})
    label = fields.String(required=True, metadata={"example": "Firefox on Linux"})
    firstSeenAt = fields.AwareDateTime(attribute="first_seen_at", required=True)
    lastSeenAt = fields.AwareDateTime(attribute="last_seen_at", required=True)
    current = fields.Boolean(required=True, metadata={"description": "The session of this request began on it"})


class DeviceListSchema(Schema):
    devices = fields.List(fields.Nested(DeviceSchema), required=True)


class MessageSchema(Schema):
    message = fields.String(required=True, metadata={"example": "You did it!"})
