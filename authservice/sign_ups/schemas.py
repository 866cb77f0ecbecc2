"""The bodies and answers of signing up: the tutorial's DTOs."""

from marshmallow import Schema, fields

from authservice.web.fields import NewEmail, NewPassword, Text
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


class SignUpRequestedSchema(Schema):
    signUpId = fields.String(required=True, metadata={"description": "Goes with the code of the mail"})


class SignUpConfirmationSchema(ProfiledBody):
    token = Text(metadata={"description": "Of the link; or send signUpId and code", "example": "token of the link"})
    signUpId = Text(metadata={"description": "What the request to sign up answered", "example": "with a code"})
    code = Text(metadata={"description": "Of the mail, with or without its space", "example": "1234 5678"})
    password = NewPassword(required=True)


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
