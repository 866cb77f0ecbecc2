"""The bodies and answers of /auth, and how every feature shows a user and a session."""

from marshmallow import Schema, fields

from authservice.security.claims import AAL1, AAL2
from authservice.web.fields import Choice, Email, Flag, Number, Password, Text
from authservice.web.parsing import Body
from authservice.web.profile import ProfiledSchema

_MAX_AGE_SECONDS = 315_360_000  # the longest that FLASK_SESSION_MAX_DAYS may be


class SessionStartSchema(Body):
    """What every body that starts a session may say besides."""

    deviceToken = Text(
        metadata={
            "description": "What an earlier sign-in answered; in cookie mode the cookie has it instead",
            # Not a well-formed one: trying the example must not register a public token as a device.
            "example": "the deviceToken of your last sign-in",
        }
    )
    # No load_default: client generators would make the field a required one.
    cookie = Flag(
        metadata={"description": "Keep the refresh token in an HttpOnly cookie, not in the answer", "example": False}
    )


class SignInSchema(SessionStartSchema):
    email = Email(required=True)
    password = Password(required=True)


class RefreshSchema(Body):
    may_be_absent = True

    refreshToken = Text(metadata={"description": "If it is absent, the cookie is read"})


class UserSchema(ProfiledSchema):
    id = fields.String(required=True, metadata={"example": "5c0dc18d349bc9479600c171"})
    email = fields.String(required=True, metadata={"example": "natalie@example.com"})
    roles = fields.List(fields.String(), required=True)
    createdAt = fields.AwareDateTime(attribute="created_at", required=True, allow_none=True)
    emailVerified = fields.Boolean(
        attribute="email_verified", required=True, metadata={"description": "The user has proven to own the address"}
    )
    language = fields.String(
        required=True, allow_none=True, metadata={"description": "In which the user wants mails", "example": "en"}
    )


class TokenSchema(Schema):
    expiresIn = fields.Integer(
        attribute="expires_in_seconds", required=True, metadata={"description": "Seconds", "example": 3600}
    )
    token = fields.String(required=True, metadata={"description": "The access token, a JWT"})
    tokenType = fields.Constant("Bearer", required=True, metadata={"type": "string", "enum": ["Bearer"]})
    refreshToken = fields.String(
        attribute="refresh_token", metadata={"description": "Good for one use; absent in cookie mode"}
    )
    refreshExpiresIn = fields.Integer(
        attribute="refresh_expires_in_seconds", required=True, metadata={"description": "Seconds", "example": 2592000}
    )
    deviceToken = fields.String(
        attribute="device_token",
        metadata={"description": "Of a sign-in: keep it, and send it with the next one; absent in cookie mode"},
    )
    user = fields.Nested(UserSchema, required=True)


class SessionSchema(Schema):
    id = fields.String(required=True, metadata={"description": "32 hexadecimal digits"})
    createdAt = fields.AwareDateTime(attribute="created_at", required=True)
    authenticatedAt = fields.AwareDateTime(
        attribute="authenticated_at", required=True, metadata={"description": "The last sign-in or step-up"}
    )
    lastUsedAt = fields.AwareDateTime(attribute="last_used_at", required=True)
    expiresAt = fields.AwareDateTime(attribute="expires_at", required=True)
    ip = fields.String(
        required=True, allow_none=True, metadata={"description": "null where unknown", "example": "203.0.113.9"}
    )
    userAgent = fields.String(attribute="user_agent", required=True)


class OwnSessionSchema(SessionSchema):
    current = fields.Boolean(required=True, metadata={"description": "The session of this request's token"})


class SessionListSchema(Schema):
    sessions = fields.List(fields.Nested(OwnSessionSchema), required=True)


class ScopeSchema(Body):
    scope = Choice("others", "all", required=True, metadata={"example": "others"})


class VerifyQuerySchema(Body):
    role = Text(metadata={"description": "A role that the user must have", "example": "admin"})
    maxAge = Number(
        1, _MAX_AGE_SECONDS, metadata={"description": "Seconds since the user signed in or stepped up", "example": 600}
    )
    acr = Choice(AAL1, AAL2, metadata={"description": "aal2: with two factors", "example": AAL1})
