"""The bodies and answers of the routes about an authenticator app and recovery codes."""

from marshmallow import Schema, fields

from authservice.web.fields import Text
from authservice.web.parsing import Body


class EnrolledTotpSchema(Schema):
    enrolledAt = fields.AwareDateTime(attribute="confirmed_at", required=True)


class FactorsSchema(Schema):
    totp = fields.Nested(
        EnrolledTotpSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The authenticator app; null if two steps are off"},
    )
    recoveryCodes = fields.Integer(
        attribute="recovery_codes_left", required=True, metadata={"description": "How many are left", "example": 10}
    )
    passkeys = fields.Integer(required=True, metadata={"description": "How many there are", "example": 0})


class TotpSetupSchema(Schema):
    secret = fields.String(required=True, metadata={"description": "To type into the app, in base32"})
    uri = fields.String(required=True, metadata={"description": "otpauth://, for an app on the same device"})
    svg = fields.String(required=True, metadata={"description": "The uri as a QR code: an SVG element"})


class TotpConfirmationSchema(Body):
    code = Text(
        required=True, metadata={"description": "What the app shows, with or without a space", "example": "123456"}
    )


class RecoveryCodeListSchema(Schema):
    recoveryCodes = fields.List(
        fields.String(metadata={"example": "k3vq-7mzd-a2xw-pn5t"}),
        attribute="recovery_codes",
        required=True,
        metadata={"description": "Shown this once; each is good for one use"},
    )


class TotpConfirmedSchema(RecoveryCodeListSchema):
    token = fields.String(required=True, metadata={"description": "A new access token of the same session"})
    expiresIn = fields.Integer(
        attribute="expires_in_seconds", required=True, metadata={"description": "Seconds", "example": 3600}
    )
