"""What goes in and out of /admin."""

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates, validates_schema

from authservice.config import ROLES_MAX
from authservice.web.bodies import Body, Email, Flag, Number, Text, fault

PAGE_MAX = 100
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Role(Text):
    """A role's name."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        name: str = super()._deserialize(value, *args, **kwargs)
        if not _ROLE.fullmatch(name):
            raise ValidationError(fault("invalid_role", "Use 1 to 32 of a-z, 0-9, _ and -, a letter first."))
        return name


class Cursor(Text):
    """The place behind a page; only a nextCursor of ours is one."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        cursor: str = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(r"[0-9a-f]{24}", cursor):
            raise ValidationError(fault("invalid_cursor", "Send the nextCursor of the page before."))
        return cursor


class PageQuerySchema(Body):
    cursor = Cursor(metadata={"description": "The nextCursor of the page before"})
    limit = Number(1, PAGE_MAX, load_default=50, metadata={"example": 50})
    email = Email(metadata={"description": "The one user with this e-mail"})


class UserChangeSchema(Body):
    disabled = Flag(metadata={"description": "Disabling ends every session", "example": False})
    roles = fields.List(
        Role(),
        metadata={"example": ["admin"], "maxItems": ROLES_MAX},
        error_messages={"null": fault("wrong_type", "Send a list."), "invalid": fault("wrong_type", "Send a list.")},
    )

    @validates("roles")
    def require_few(self, roles: list[str], **kwargs: Any) -> None:
        if len(roles) > ROLES_MAX:
            raise ValidationError(fault("too_many", f"Send at most {ROLES_MAX} roles."))

    @validates_schema
    def require_something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data:
            raise ValidationError(fault("required", "Send disabled, roles, or both."))


class AdminUserSchema(Schema):
    id = fields.String(required=True, metadata={"example": "5c0dc18d349bc9479600c171"})
    email = fields.String(required=True, metadata={"example": "natalie@example.com"})
    roles = fields.List(fields.String(), required=True)
    createdAt = fields.AwareDateTime(attribute="created_at", required=True, allow_none=True)
    disabled = fields.Boolean(attribute="is_disabled", required=True)


class AdminSessionSchema(Schema):
    id = fields.String(required=True)
    createdAt = fields.AwareDateTime(attribute="created_at", required=True)
    lastUsedAt = fields.AwareDateTime(attribute="last_used_at", required=True)
    expiresAt = fields.AwareDateTime(attribute="expires_at", required=True)
    ip = fields.String(required=True, allow_none=True)
    userAgent = fields.String(attribute="user_agent", required=True)


class AdminUserDetailSchema(AdminUserSchema):
    sessions = fields.List(fields.Nested(AdminSessionSchema), required=True)


class UserPageSchema(Schema):
    users = fields.List(fields.Nested(AdminUserSchema), required=True)
    nextCursor = fields.String(
        required=True, allow_none=True, metadata={"description": "Send it as cursor; null on the last page"}
    )
