"""The tree of refusals: every answer that is not a success.

Code raises a refusal where it learns the reason, and ``web/problems.py`` renders it. Nothing in between catches it.

    Refusal
    |-- BodyMalformed         400 body_malformed
    |-- RequestMalformed      400 request_malformed
    |-- Unauthenticated
    |   |-- TokenMissing      401 token_missing
    |   |-- TokenInvalid      401 token_invalid
    |   |-- TokenExpired      401 token_expired
    |   |-- TokenReused       401 token_reused
    |   `-- CredentialsInvalid 401 credentials_invalid
    |-- RoleMissing           403 role_missing
    |-- PasswordWrong         403 password_wrong
    |-- CrossSiteRefused      403 cross_site_refused
    |-- NotFound              404 not_found
    |-- UserUnknown           404 user_unknown
    |-- SessionUnknown        404 session_unknown
    |-- DeviceUnknown         404 device_unknown
    |-- MethodNotAllowed      405 method_not_allowed
    |-- RequestTimeout        408 request_timeout
    |-- EmailTaken            409 email_taken
    |-- EmailAmbiguous        409 email_ambiguous
    |-- LastAdmin             409 last_admin
    |-- RolesFull             409 roles_full
    |-- BodyTooLarge          413 body_too_large
    |-- UriTooLong            414 uri_too_long
    |-- MediaTypeUnsupported  415 media_type_unsupported
    |-- RangeNotSatisfiable   416 range_not_satisfiable
    |-- ValidationFailed      422 validation_failed
    |-- TooManyAttempts       429 too_many_attempts
    |-- HeadersTooLarge       431 headers_too_large
    |-- InternalError         500 internal_error
    |-- HashingBusy           503 hashing_busy
    |-- UsersCollectionUnfit  503 users_collection_unfit
    `-- DatabaseUnavailable   503 database_unavailable
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Fault:
    """One error in a request: a JSON pointer to its place (RFC 6901), a stable code, a sentence."""

    pointer: str
    code: str
    detail: str


class Refusal(Exception):
    """An answer that is not a success, with all that the caller may know about it."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str]
    challenge_error: ClassVar[str | None] = None  # the error attribute of RFC 6750 section 3.1
    retry_after_seconds: int | None = None

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(self.code)
        self.detail = detail or self.explanation


class BodyMalformed(Refusal):
    status, code, title = 400, "body_malformed", "The body is not valid JSON"
    explanation = "Send one JSON object as strict UTF-8: no byte order mark, no duplicate keys, no NaN or Infinity."


class RequestMalformed(Refusal):
    status, code, title = 400, "request_malformed", "The request is malformed"
    explanation = "The request is not valid HTTP."


class Unauthenticated(Refusal):
    """A 401. Its answer always has a ``WWW-Authenticate`` challenge (RFC 9110 section 11.6.1)."""

    status = 401


class TokenMissing(Unauthenticated):
    code, title = "token_missing", "A token is required"
    explanation = "Send the access token from POST /auth as 'Authorization: Bearer <token>'."


class TokenInvalid(Unauthenticated):
    code, title = "token_invalid", "The token is not valid"
    explanation = "The token is malformed, forged, of the wrong type, or no longer valid. Sign in again."
    challenge_error = "invalid_token"


class TokenExpired(Unauthenticated):
    code, title = "token_expired", "The token has expired"
    explanation = "The token has expired. Sign in again."
    challenge_error = "invalid_token"


class TokenReused(Unauthenticated):
    """A refresh token was used again after its successor: one of its two holders is a thief."""

    code, title = "token_reused", "The refresh token was already used"
    explanation = "This refresh token was already used, so its session has ended. Sign in again."
    challenge_error = "invalid_token"


class CredentialsInvalid(Unauthenticated):
    code, title = "credentials_invalid", "Wrong e-mail or password"
    explanation = "No enabled account has this e-mail and password."


class RoleMissing(Refusal):
    status, code, title = 403, "role_missing", "A required role is missing"
    explanation = "Your account does not have the role that this request requires."
    challenge_error = "insufficient_scope"


class PasswordWrong(Refusal):
    """Not a 401: the token is valid, and a front-end must not sign the user out."""

    status, code, title = 403, "password_wrong", "The current password is wrong"
    explanation = "Nothing was changed. Send your current password as currentPassword."


class CrossSiteRefused(Refusal):
    status, code, title = 403, "cross_site_refused", "The cookie is not accepted here"
    explanation = "Send the header X-Requested-With with the cookie, from an origin in FLASK_CORS_ORIGINS."


class NotFound(Refusal):
    status, code, title = 404, "not_found", "Not found"
    explanation = "No route has this path. GET /openapi.json lists them all."


class UserUnknown(Refusal):
    status, code, title = 404, "user_unknown", "No such user"
    explanation = "No user has this e-mail or id."


class SessionUnknown(Refusal):
    status, code, title = 404, "session_unknown", "No such session"
    explanation = "You have no session with this id. GET /auth/sessions lists them."


class DeviceUnknown(Refusal):
    status, code, title = 404, "device_unknown", "No such device"
    explanation = "You have no device with this id. GET /users/me/devices lists them."


class MethodNotAllowed(Refusal):
    status, code, title = 405, "method_not_allowed", "The method is not allowed here"
    explanation = "The Allow header lists the methods of this path."


class RequestTimeout(Refusal):
    status, code, title = 408, "request_timeout", "The request did not arrive in time"
    explanation = "The headers must arrive within 5 seconds, and so must each 16,384 bytes of the body. Send it again."


class EmailTaken(Refusal):
    status, code, title = 409, "email_taken", "The e-mail is taken"
    explanation = "An account with this e-mail already exists. Sign in instead."


class EmailAmbiguous(Refusal):
    """Another stack stored several spellings of one address, and the given one matches none of them exactly."""

    status, code, title = 409, "email_ambiguous", "Several accounts have this e-mail"
    explanation = "Type it exactly as one of them is stored."

    def __init__(self, user_ids: Sequence[str]) -> None:
        super().__init__(f"{self.explanation} Their ids: {', '.join(user_ids)}.")


class LastAdmin(Refusal):
    status, code, title = 409, "last_admin", "This is the last admin"
    explanation = "Nobody could manage the users any more. Give another user the role admin first."


class RolesFull(Refusal):
    status, code, title = 409, "roles_full", "The user has too many roles"
    explanation = "A user can have at most 32 roles. Revoke one first."


class BodyTooLarge(Refusal):
    status, code, title = 413, "body_too_large", "The body is too large"
    explanation = "A body can have at most 16,384 bytes."


class UriTooLong(Refusal):
    status, code, title = 414, "uri_too_long", "The request line is too long"
    explanation = "A request line can have at most 4,094 bytes."


class MediaTypeUnsupported(Refusal):
    status, code, title = 415, "media_type_unsupported", "The media type is not supported"
    explanation = "Send 'Content-Type: application/json'."


class RangeNotSatisfiable(Refusal):
    status, code, title = 416, "range_not_satisfiable", "The range is beyond the end"
    explanation = "Request the whole file, or a range inside it."


class ValidationFailed(Refusal):
    status, code, title = 422, "validation_failed", "Some fields are not valid"
    explanation = "Fix each of the listed errors."

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


class TooManyAttempts(Refusal):
    status, code, title = 429, "too_many_attempts", "Too many attempts"
    explanation = "Nothing was checked. Try again after the number of seconds in Retry-After."

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class HeadersTooLarge(Refusal):
    status, code, title = 431, "headers_too_large", "The headers are too large"
    explanation = "A request can have at most 100 headers of 8,190 bytes each, and 32,768 bytes before its body."


class InternalError(Refusal):
    status, code, title = 500, "internal_error", "Something went wrong"
    explanation = "The error was logged. Include the request id when you report it."


class HashingBusy(Refusal):
    status, code, title = 503, "hashing_busy", "Too many passwords are being checked"
    explanation = "Nothing was changed. Try again after the number of seconds in Retry-After."
    retry_after_seconds = 1


class UsersCollectionUnfit(Refusal):
    status, code, title = 503, "users_collection_unfit", "The users collection cannot be used"
    explanation = "The service cannot keep its e-mails unique."
    retry_after_seconds = 60


class DatabaseUnavailable(Refusal):
    status, code, title = 503, "database_unavailable", "The database does not answer"
    explanation = "Try again after the number of seconds in Retry-After."
    retry_after_seconds = 2
