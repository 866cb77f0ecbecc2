"""The tree of refusals: every answer that is not a success.

A refusal is raised where it is known and rendered by ``web/problems.py``. Nobody catches it in between.

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
    """One thing that is wrong with a request body: where it is (RFC 6901 pointer), its stable code, a sentence."""

    pointer: str
    code: str
    detail: str


class Refusal(Exception):
    """An answer that is not a success, with everything that the caller may learn about it."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str]
    challenge_error: ClassVar[str | None] = None  # the error attribute of RFC 6750 section 3.1
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(self.code)
        self.detail = detail or self.explanation


class BodyMalformed(Refusal):
    status = 400
    code = "body_malformed"
    title = "The body is not JSON"
    explanation = "Send one JSON object as strict UTF-8: no byte order mark, no duplicate keys, no NaN or Infinity."


class RequestMalformed(Refusal):
    status = 400
    code = "request_malformed"
    title = "The request is malformed"
    explanation = "The request does not follow HTTP."


class Unauthenticated(Refusal):
    """A 401: it always comes with a ``WWW-Authenticate`` challenge (RFC 9110 section 11.6.1)."""

    status = 401


class TokenMissing(Unauthenticated):
    code = "token_missing"
    title = "A token is needed"
    explanation = "Send the access token of POST /auth as 'Authorization: Bearer <token>'."


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    title = "The token is not valid"
    explanation = "The token is malformed, forged, of the wrong type, or no longer good. Sign in again."
    challenge_error = "invalid_token"


class TokenExpired(Unauthenticated):
    code = "token_expired"
    title = "The token has expired"
    explanation = "The token has expired. Sign in again."
    challenge_error = "invalid_token"


class TokenReused(Unauthenticated):
    """A refresh token came back after its successor was used: one of the two holders stole it."""

    code = "token_reused"
    title = "The refresh token was used before"
    explanation = "This refresh token had been used already, so its session has been ended. Sign in again."
    challenge_error = "invalid_token"


class CredentialsInvalid(Unauthenticated):
    code = "credentials_invalid"
    title = "Wrong e-mail or password"
    explanation = "No account that may sign in has this e-mail and this password."


class RoleMissing(Refusal):
    status = 403
    code = "role_missing"
    title = "A role is missing"
    explanation = "Your account does not have the role that this needs."
    challenge_error = "insufficient_scope"


class PasswordWrong(Refusal):
    """Not a 401: the token is good, and a front-end must not sign the user out."""

    status = 403
    code = "password_wrong"
    title = "The current password is wrong"
    explanation = "Nothing was changed. Send your present password as currentPassword."


class CrossSiteRefused(Refusal):
    """A request by cookie that another site may have caused."""

    status = 403
    code = "cross_site_refused"
    title = "The cookie is not accepted here"
    explanation = "With the cookie, send the header X-Requested-With, from an origin in FLASK_CORS_ORIGINS."


class NotFound(Refusal):
    status = 404
    code = "not_found"
    title = "Nothing is here"
    explanation = "No route has this path. GET /openapi.json lists them all."


class UserUnknown(Refusal):
    status = 404
    code = "user_unknown"
    title = "No such user"
    explanation = "No user has this e-mail or id."


class SessionUnknown(Refusal):
    status = 404
    code = "session_unknown"
    title = "No such session"
    explanation = "You have no session with this id. GET /auth/sessions lists them."


class MethodNotAllowed(Refusal):
    status = 405
    code = "method_not_allowed"
    title = "The method is not allowed here"
    explanation = "The Allow header lists the methods of this path."


class RequestTimeout(Refusal):
    status = 408
    code = "request_timeout"
    title = "The request did not arrive in time"
    explanation = "A request's head has 5 seconds to arrive, and so have each 16,384 bytes of its body. Send it again."


class EmailTaken(Refusal):
    status = 409
    code = "email_taken"
    title = "The e-mail is taken"
    explanation = "An account with this e-mail exists. Sign in instead."


class EmailAmbiguous(Refusal):
    """Another stack stored several spellings of one address, and the one that was given is none of them."""

    status = 409
    code = "email_ambiguous"
    title = "Several accounts have this e-mail"
    explanation = "Spell it exactly as one of them does."

    def __init__(self, user_ids: Sequence[str]) -> None:
        super().__init__(f"{self.explanation} Their ids: {', '.join(user_ids)}.")


class LastAdmin(Refusal):
    status = 409
    code = "last_admin"
    title = "This is the last admin"
    explanation = "Nobody could look after the users any more. Give another user the role admin first."


class RolesFull(Refusal):
    status = 409
    code = "roles_full"
    title = "The user has too many roles"
    explanation = "A user may have 32 roles. Revoke one first."


class BodyTooLarge(Refusal):
    status = 413
    code = "body_too_large"
    title = "The body is too large"
    explanation = "A body may have 16,384 bytes."


class UriTooLong(Refusal):
    status = 414
    code = "uri_too_long"
    title = "The request line is too long"
    explanation = "A request line may have 4,094 bytes."


class MediaTypeUnsupported(Refusal):
    status = 415
    code = "media_type_unsupported"
    title = "The media type is not supported"
    explanation = "Send 'Content-Type: application/json'."


class RangeNotSatisfiable(Refusal):
    status = 416
    code = "range_not_satisfiable"
    title = "The range is beyond the end"
    explanation = "Ask for the whole file, or for a part that it has."


class ValidationFailed(Refusal):
    status = 422
    code = "validation_failed"
    title = "The body does not fit"
    explanation = "Fix each of the listed errors."

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


class HeadersTooLarge(Refusal):
    status = 431
    code = "headers_too_large"
    title = "The headers are too large"
    explanation = "A request may have 100 headers of 8,190 bytes each, and 32,768 bytes before its body."


class InternalError(Refusal):
    status = 500
    code = "internal_error"
    title = "Something went wrong here"
    explanation = "It has been logged. Quote the request id when you report it."


class HashingBusy(Refusal):
    """The hashing gate is full: nothing was checked and nothing was written."""

    status = 503
    code = "hashing_busy"
    title = "Too many passwords are being checked"
    explanation = "Nothing was changed. Try again after the seconds in Retry-After."
    retry_after_seconds = 1


class UsersCollectionUnfit(Refusal):
    """What lies in the collection forbids that an e-mail is unique, so no account can be written."""

    status = 503
    code = "users_collection_unfit"
    title = "The collection of users does not fit"
    explanation = "Its e-mails cannot be kept unique."
    retry_after_seconds = 60


class DatabaseUnavailable(Refusal):
    """The database did not answer in its time-out, so the answer is no."""

    status = 503
    code = "database_unavailable"
    title = "The database does not answer"
    explanation = "Try again after the seconds in Retry-After."
    retry_after_seconds = 2
