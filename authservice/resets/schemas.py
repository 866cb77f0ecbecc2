"""The bodies and answers of the routes that send mails and take what came by mail."""

from marshmallow import Schema, fields

from authservice.web.fields import Email, Flag, NewPassword, Text
from authservice.web.parsing import Body


class ResetRequestSchema(Body):
    email = Email(required=True)


class ResetRequestedSchema(Schema):
    resetId = fields.String(required=True, metadata={"description": "Goes with the code of the mail"})


class ResetSchema(Body):
    token = Text(metadata={"description": "Of the link; or send resetId and code", "example": "token of the link"})
    resetId = Text(metadata={"description": "What the request for the reset answered", "example": "with a code"})
    code = Text(metadata={"description": "Of the mail, with or without its space", "example": "1234 5678"})
    newPassword = NewPassword(required=True, metadata={"example": "an even longer secret"})
    deviceToken = Flag(
        metadata={"description": "Answer the device's token in the body, and set no cookie", "example": False}
    )


class DeviceTokenSchema(Schema):
    deviceToken = fields.String(required=True, metadata={"description": "Send it with the next sign-in"})
