"""The bodies and answers of /admin."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from authservice.auth.schemas import SessionSchema, UserSchema
from authservice.config import ROLE, ROLES_MAX
from authservice.web.fields import Email, Flag, Number, Text, at_most, pattern
from authservice.web.parsing import Body, fault

PAGE_MAX = 100
_is_cursor = pattern("[0-9a-f]{24}", "invalid_cursor", "Send the nextCursor of the previous page.")
_is_role = pattern(ROLE, "invalid_role", "Use 1 to 32 of a-z, 0-9, _ and -, and begin with a letter.")


class PageQuerySchema(Body):
    cursor = Text(validate=_is_cursor, metadata={"description": "The nextCursor of the previous page"})
    limit = Number(1, PAGE_MAX, load_default=50, metadata={"example": 50})
    email = Email(metadata={"description": "Find the user with this e-mail"})


class UserChangeSchema(Body):
    disabled = Flag(metadata={"description": "Disabling ends every session", "example": False})
    roles = fields.List(
        Text(validate=_is_role),
        validate=at_most(ROLES_MAX, "roles"),
        metadata={"example": ["admin"], "maxItems": ROLES_MAX},
        error_messages={"null": fault("wrong_type", "Send a list."), "invalid": fault("wrong_type", "Send a list.")},
    )

    @validates_schema
    def require_something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data:
            raise ValidationError(fault("required", "Send disabled, roles, or both."))


class AdminUserSchema(UserSchema):
    disabled = fields.Boolean(attribute="is_disabled", required=True)


class AdminUserDetailSchema(AdminUserSchema):
    sessions = fields.List(fields.Nested(SessionSchema), required=True)


class UserPageSchema(Schema):
    users = fields.List(fields.Nested(AdminUserSchema), required=True)
    nextCursor = fields.String(
        required=True, allow_none=True, metadata={"description": "Send it as cursor; null on the last page"}
    )
