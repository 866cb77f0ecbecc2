"""Refusals -> application/problem+json (RFC 9457) and WWW-Authenticate (RFC 6750)."""

import logging

from flask import Flask, Response, current_app, g, request
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException

from authservice import errors
from authservice.errors import Refusal

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "authservice.request_id"  # in the WSGI environ
SECURITY_HEADERS = {  # of every answer; a page has a Content-Security-Policy of its own
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_REALM = 'Bearer realm="authservice"'
_OF_STATUS: dict[int, type[Refusal]] = {
    refusal.status: refusal
    for refusal in (
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.BodyTooLarge,
        errors.MediaTypeUnsupported,
        errors.RangeNotSatisfiable,
        errors.RequestMalformed,
    )
}

log = logging.getLogger(__name__)


class FaultSchema(Schema):
    pointer = fields.String(
        required=True, metadata={"description": "Where in the body: a JSON pointer (RFC 6901)", "example": "/password"}
    )
    code = fields.String(required=True, metadata={"example": "too_short"})
    detail = fields.String(required=True, metadata={"example": "Use at least 8 characters."})


class ProblemSchema(Schema):
    """Problem details of RFC 9457, with a stable code and the id of the request."""

    type = fields.String(required=True, metadata={"example": "urn:authservice:problem:validation_failed"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; decide by this one"})
    requestId = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": "With 422 only"})


def init_app(app: Flask) -> None:
    app.register_error_handler(Refusal, render)
    app.register_error_handler(HTTPException, _render_http_exception)
    app.register_error_handler(Exception, _render_crash)


def render(refusal: Refusal) -> Response:
    """The answer for a refusal: status, headers and problem details."""
    g.refusal_code = refusal.code
    problem = details(refusal, request.environ[REQUEST_ID])
    response = Response(current_app.json.dumps(problem), refusal.status, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if challenge := _challenge(refusal):
        response.headers["WWW-Authenticate"] = challenge
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def details(refusal: Refusal, request_id: str) -> dict[str, object]:
    """The members of the problem details."""
    problem: dict[str, object] = {
        "type": f"urn:authservice:problem:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "requestId": request_id,
    }
    if isinstance(refusal, errors.ValidationFailed):
        problem["errors"] = [vars(fault) for fault in refusal.faults]
    return problem


def _challenge(refusal: Refusal) -> str | None:
    """RFC 6750 section 3: no error attribute where the request had no token at all."""
    if refusal.challenge_error is None:
        return _REALM if refusal.status == 401 else None
    return f'{_REALM}, error="{refusal.challenge_error}", error_description="{refusal.detail}"'


def _render_http_exception(exception: HTTPException) -> Response | HTTPException:
    """What werkzeug refuses by itself; a redirect stays what it is."""
    if exception.code is None or exception.code < 400:
        return exception
    if exception.code >= 500:
        return _render_crash(exception)
    response = render(_OF_STATUS.get(exception.code, errors.RequestMalformed)())
    for name, value in exception.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _render_crash(error: Exception) -> Response:
    """A fault of ours: logged with its trace, told to nobody."""
    log.exception("crash", extra={"error": type(error).__name__})
    return render(errors.InternalError())
