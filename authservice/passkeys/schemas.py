"""The bodies and answers of the routes about passkeys."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from authservice.auth.schemas import SessionStartSchema
from authservice.web.fields import Credential, Text
from authservice.web.parsing import Body, fault

NAME_MAX_CHARACTERS = 64


def _check_name(name: str) -> None:
    if not name.strip():
        raise ValidationError(fault("too_short", "Send a name."))
    if len(name) > NAME_MAX_CHARACTERS:
        raise ValidationError(fault("too_long", f"Use at most {NAME_MAX_CHARACTERS} characters."))
    if not name.isprintable():
        raise ValidationError(fault("invalid_character", "Use printable characters."))


class Name(Text):
    """What a user calls a passkey."""

    checks = (_check_name,)
    described: ClassVar[Mapping[str, Any]] = {"minLength": 1, "maxLength": NAME_MAX_CHARACTERS, "example": "My phone"}


class EmptySchema(Body):
    may_be_absent = True


class PasskeySignInSchema(SessionStartSchema):
    credential = Credential(required=True)


class RegistrationSchema(Body):
    credential = Credential(required=True)
    name = Name(metadata={"description": "By default the browser and the system"})


class RenamingSchema(Body):
    name = Name(required=True)


class PasskeySchema(Schema):
    id = fields.String(required=True, metadata={"description": "In base64url"})
    name = fields.String(required=True, metadata={"example": "My phone"})
    isSynced = fields.Boolean(
        attribute="is_synced",
        required=True,
        metadata={"description": "Kept by a password manager, and so on several devices"},
    )
    transports = fields.List(fields.String(), required=True, metadata={"example": ["internal", "hybrid"]})
    createdAt = fields.AwareDateTime(attribute="created_at", required=True)
    lastUsedAt = fields.AwareDateTime(attribute="last_used_at", required=True, allow_none=True)


class PasskeyListSchema(Schema):
    passkeys = fields.List(fields.Nested(PasskeySchema), required=True)


class _OptionsSchema(Schema):
    challenge = fields.String(required=True, metadata={"description": "Good for one answer, within 300 seconds"})
    timeout = fields.Integer(required=True, metadata={"description": "Milliseconds", "example": 300_000})


class SignInOptionsSchema(_OptionsSchema):
    rpId = fields.String(required=True, metadata={"example": "example.com"})
    allowCredentials = fields.List(fields.Dict(), required=True, metadata={"description": "Empty: any passkey"})
    userVerification = fields.String(required=True, metadata={"enum": ["required"]})


class RegistrationOptionsSchema(_OptionsSchema):
    rp = fields.Dict(required=True, metadata={"example": {"id": "example.com", "name": "Shop"}})
    user = fields.Dict(required=True, metadata={"description": "`id`, `name` and `displayName`"})
    pubKeyCredParams = fields.List(fields.Dict(), required=True)
    excludeCredentials = fields.List(fields.Dict(), required=True, metadata={"description": "Those that you have"})
    authenticatorSelection = fields.Dict(required=True)
    attestation = fields.String(required=True, metadata={"enum": ["none"]})
