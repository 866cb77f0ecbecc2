"""The answer of a user's own copy of what is kept. Its members have the names that they have in the database."""

from typing import Any

from marshmallow import Schema, fields

from authservice.auth.schemas import UserSchema

NOT_IN_IT = (
    "The password and its hash, the secrets of authenticator app, passkeys and recovery codes, and what tokens, links "
    "and codes in mails are made of: anyone who has them can act as you.",
    "The counters of attempts: they are kept under keyed hashes that do not name you, and deleted within days.",
    "Mails that were asked for at your address by somebody who was not signed in: they are kept under the address, and "
    "deleted an hour after their links have expired.",
    "The operator's log of security events, which has the id of your account and addresses of the network.",
    "What other applications keep about you in the same database, also the document that your account was moved from, "
    "and values of theirs that were replaced when it moved, except for the e-mail.",
)


def _time(description: str | None = None) -> fields.AwareDateTime:
    return fields.AwareDateTime(required=True, allow_none=True, metadata=_described(description))


def _text(description: str | None = None, **more: Any) -> fields.String:
    return fields.String(required=True, allow_none=True, metadata=_described(description), **more)


def _described(description: str | None) -> dict[str, str]:
    return {} if description is None else {"description": description}


class CopiedUserSchema(UserSchema):
    emailVerifiedAt = _time("null also if another application has proven it")
    passwordChangedAt = _time()
    passwordRenewedAt = _time("When its hash was renewed")


class CopiedSessionSchema(Schema):
    id = _text()
    createdAt = _time()
    authenticatedAt = _time()
    rotatedAt = _time()
    lastUsedAt = _time()
    expiresAt = _time("Ended ones stay until later sign-ins push them out")
    userAgent = _text()
    ip = _text()
    deviceId = _text()
    amr = fields.List(fields.String(), required=True, allow_none=True, metadata={"description": "RFC 8176"})


class CopiedDeviceSchema(Schema):
    id = _text()
    label = _text()
    firstSeenAt = _time()
    lastSeenAt = _time()


class CopiedMailSchema(Schema):
    kind = _text()
    to = _text()
    language = _text()
    facts = fields.Dict(required=True, allow_none=True, metadata={"example": {"device": "Firefox on Linux"}})
    at = _time("When it was caused")
    due = _time()
    tries = fields.Integer(required=True, allow_none=True)


class CopiedFormerEmailSchema(Schema):
    email = _text()
    at = _time()
    until = _time("Until then nobody else gets it")


class CopiedPasskeySchema(Schema):
    id = _text("In base64url")
    name = _text()
    transports = fields.List(fields.String(), required=True, allow_none=True)
    isSynced = fields.Boolean(required=True, allow_none=True)
    createdAt = _time()
    lastUsedAt = _time()


class CopiedAskingSchema(Schema):
    to = _text()
    at = _time()


class CopiedTwoStepSchema(Schema):
    enrolledAt = _time("Since when there is an authenticator app")
    setUpAt = _time("Of an app that no code has confirmed yet")
    recoveryCodes = fields.Integer(required=True, metadata={"description": "How many are left"})
    recoveryCodesAt = _time()
    failures = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Wrong codes since the last right one"}
    )
    blockedUntil = _time()


class CopiedBeforeSchema(Schema):
    email = _text("As it was spelled there, if it has another spelling here")


class CopiedOriginSchema(Schema):
    stack = _text("Such as devise", attribute="from", data_key="from")
    id = _text("Your id there")
    was = fields.Nested(
        CopiedBeforeSchema, required=True, allow_none=True, metadata={"description": "What moving in replaced"}
    )


class CopySchema(Schema):
    exportedAt = fields.AwareDateTime(required=True)
    user = fields.Nested(CopiedUserSchema, required=True)
    sessions = fields.List(fields.Nested(CopiedSessionSchema), required=True)
    devices = fields.List(fields.Nested(CopiedDeviceSchema), required=True)
    mails = fields.List(fields.Nested(CopiedMailSchema), required=True, metadata={"description": "Those that wait"})
    formerEmails = fields.List(fields.Nested(CopiedFormerEmailSchema), required=True)
    emailChange = fields.Nested(CopiedAskingSchema, required=True, allow_none=True)
    verification = fields.Nested(CopiedAskingSchema, required=True, allow_none=True)
    twoStep = fields.Nested(CopiedTwoStepSchema, required=True, allow_none=True)
    passkeys = fields.List(fields.Nested(CopiedPasskeySchema), required=True)
    legacy = fields.Nested(
        CopiedOriginSchema, required=True, allow_none=True, metadata={"description": "Where the account was moved from"}
    )
    notInIt = fields.List(
        fields.String(), required=True, metadata={"description": "What else is kept, and why it is not here"}
    )
