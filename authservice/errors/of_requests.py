"""Refusals of requests that are malformed, and of those that cannot be served now."""

from collections.abc import Sequence

from authservice.errors.refusal import Fault, Refusal


class BodyMalformed(Refusal):
    status, code, title = 400, "body_malformed", "The body is not valid JSON"
    explanation = "Send one JSON object as strict UTF-8: no byte order mark, no duplicate keys, no NaN or Infinity."


class RequestMalformed(Refusal):
    status, code, title = 400, "request_malformed", "The request is malformed"
    explanation = "The request is not valid HTTP."


class NotFound(Refusal):
    status, code, title = 404, "not_found", "Not found"
    explanation = "No route has this path. GET /openapi.json lists them all."


class MethodNotAllowed(Refusal):
    status, code, title = 405, "method_not_allowed", "The method is not allowed here"
    explanation = "The Allow header lists the methods of this path."


class RequestTimeout(Refusal):
    status, code, title = 408, "request_timeout", "The request did not arrive in time"
    explanation = "The headers must arrive within 5 seconds, and so must each 16,384 bytes of the body. Send it again."


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
        self.members = {"errors": [vars(fault) for fault in faults]}


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


class SecondFactorUnavailable(Refusal):
    """A user with two steps on is refused, and not let in by the password alone."""

    status, code, title = 503, "second_factor_unavailable", "Second factors cannot be used"
    explanation = "The service has no key in FLASK_ENCRYPTION_KEYS, or not the one that your second factor needs."
    retry_after_seconds = 60


class UsersCollectionUnfit(Refusal):
    status, code, title = 503, "users_collection_unfit", "The users collection cannot be used"
    explanation = "The service cannot keep its e-mails unique."
    retry_after_seconds = 60


class DatabaseUnavailable(Refusal):
    status, code, title = 503, "database_unavailable", "The database does not answer"
    explanation = "Try again after the number of seconds in Retry-After."
    retry_after_seconds = 2
