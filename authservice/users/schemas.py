"""The bodies and answers of /users: the tutorial's DTOs."""

from marshmallow import Schema, fields

from authservice.web.fields import Language, NewPassword, Password
from authservice.web.parsing import Body
from authservice.web.profile import ProfiledBody


class ProfileChangeSchema(ProfiledBody):
    is_change = True

    language = Language(
        allow_none=True,
        metadata={
            "description": "One of FLASK_MAIL_LANGUAGES for your mails; null: as the browser asks",
            "example": "en",
        },
    )


_WITHOUT_PASSWORD = {"description": "May be left out soon after a sign-in or step-up"}


class PasswordChangeSchema(Body):
    currentPassword = Password(metadata=_WITHOUT_PASSWORD)
    newPassword = NewPassword(required=True, metadata={"example": "an even longer secret"})


class DeletionSchema(Body):
    currentPassword = Password(metadata=_WITHOUT_PASSWORD)


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
