"""The bodies and answers of a second step and of a step-up."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, validates_schema

from authservice.auth.schemas import SessionStartSchema, TokenSchema
from authservice.web.fields import Credential, Password, Text
from authservice.web.parsing import Body, fault


class ProofSchema(Body):
    """``one_of`` are the members of which a body has exactly one."""

    one_of: tuple[str, ...] = ("totp", "recoveryCode", "passkey")

    totp = Text(metadata={"description": "The code of the authenticator app", "example": "123456"})
    recoveryCode = Text(metadata={"description": "One of the ten, each good for one use"})
    passkey = Credential()

    @validates_schema
    def require_one(self, body: Mapping[str, Any], **_: Any) -> None:
        if sum(name in body for name in self.one_of) != 1:
            raise ValidationError(fault("not_one", f"Send exactly one of {', '.join(self.one_of)}."))


class SecondStepSchema(ProofSchema, SessionStartSchema):
    continuation = Text(required=True, metadata={"description": "What POST /auth answered"})


class StepUpSchema(ProofSchema):
    one_of = ("password", *ProofSchema.one_of)

    password = Password(metadata={"description": "Only of a user without a second step"})


class StepUpTokenSchema(Schema):
    token = TokenSchema._declared_fields["token"]
    expiresIn = TokenSchema._declared_fields["expiresIn"]
