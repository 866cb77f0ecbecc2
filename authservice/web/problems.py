"""Refusals -> application/problem+json (RFC 9457) and WWW-Authenticate (RFC 6750)."""

import functools
import json
import logging
import random
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from marshmallow import Schema, fields
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, default_exceptions

from authservice import audit, errors
from authservice.errors import Refusal

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "authservice.request_id"  # in the WSGI environ
CLIENT_REQUEST_ID = "authservice.client_request_id"  # in the WSGI environ, where the client has named one
SECURITY_HEADERS = {  # of every answer; a page has a Content-Security-Policy of its own
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_REALM = 'Bearer realm="authservice"'
_OF_STATUS: dict[int, type[Refusal]] = {
    refusal.status: refusal
    for refusal in (
        errors.RequestMalformed,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.RequestTimeout,
        errors.BodyTooLarge,
        errors.UriTooLong,
        errors.MediaTypeUnsupported,
        errors.RangeNotSatisfiable,
        errors.HeadersTooLarge,
    )
}
_RENAMED = {422: "unprocessable_content"}  # in Python 3.13, and a code is stable

log = logging.getLogger(__name__)


class FaultSchema(Schema):
    pointer = fields.String(
        required=True, metadata={"description": "Where in the body: a JSON pointer (RFC 6901)", "example": "/password"}
    )
    code = fields.String(required=True, metadata={"example": "too_short"})
    detail = fields.String(required=True, metadata={"example": "Use at least 8 characters."})


@functools.cache  # a schema has one name in the documentation, so a name has one schema
def schema_of(refusals: frozenset[type[Refusal]]) -> type[Schema]:
    """Problem details (RFC 9457) of refusals that share a status, with exactly their codes."""
    ordered = sorted(refusals, key=lambda refusal: refusal.code)
    codes = [refusal.code for refusal in ordered]
    members: dict[str, fields.Field[Any]] = {
        "type": fields.String(required=True, metadata={"enum": [_type_of(code) for code in codes]}),
        "title": fields.String(required=True, metadata={"example": ordered[0].title}),
        "status": fields.Integer(required=True, metadata={"enum": sorted({refusal.status for refusal in ordered})}),
        "detail": fields.String(required=True, metadata={"example": ordered[0].explanation}),
        "code": fields.String(required=True, metadata={"description": "Stable; decide by this one", "enum": codes}),
        "requestId": fields.String(required=True),
    }
    if errors.ValidationFailed in refusals:
        members["errors"] = fields.List(fields.Nested(FaultSchema), required=len(refusals) == 1)
    if errors.StepUpRequired in refusals:
        members["maxAge"] = fields.Integer(metadata={"description": "How many seconds old the sign-in may be"})
        members["acrValues"] = fields.String(metadata={"description": "What `acr` must be"})
    if errors.SecondFactorRequired in refusals:
        members["continuation"] = fields.String(metadata={"description": "Goes with the second factor"})
        members["expiresIn"] = fields.Integer(metadata={"description": "Seconds", "example": 300})
        methods = {"enum": ["totp", "recoveryCode", "passkey"]}
        members["methods"] = fields.List(fields.String(metadata=methods), metadata={"description": "What there is"})
    return Schema.from_dict(members, name="Or".join(refusal.__name__ for refusal in ordered) + "ProblemSchema")


def init_app(app: Flask) -> None:
    app.register_error_handler(Refusal, render)
    app.register_error_handler(HTTPException, _render_http_exception)
    app.register_error_handler(Exception, _render_crash)


def render(refusal: Refusal) -> Response:
    """The answer for a refusal: status, headers and problem details."""
    response = _answer(details(refusal, _request_id()), refusal.status, refusal.code)
    if challenge := _challenge(refusal):
        response.headers["WWW-Authenticate"] = challenge
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def details(refusal: Refusal, request_id: str) -> dict[str, object]:
    """The members of the problem details."""
    return {**_members(refusal.code, refusal.title, refusal.status, refusal.detail, request_id), **refusal.members}


def new_request_id() -> str:
    """It only has to differ from all others: it is no secret."""
    return f"{random.getrandbits(128):032x}"


def _request_id() -> str:
    """The request's; a route of an app that embeds the service gets one with its first problem."""
    return request.environ.setdefault(REQUEST_ID, new_request_id())  # type: ignore[no-any-return]


def _members(code: str, title: str, status: int, detail: str, request_id: str) -> dict[str, object]:
    return {
        "type": _type_of(code),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id,
    }


def _type_of(code: str) -> str:
    return f"urn:authservice:problem:{code}"


def _answer(problem: dict[str, object], status: int, code: str) -> Response:
    g.authservice_code = code
    response = Response(json.dumps(problem), status, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Request-Id"] = str(problem["requestId"])
    return response


def _challenge(refusal: Refusal) -> str | None:
    """RFC 6750 section 3: no error attribute where the request had no token at all."""
    if refusal.challenge_error is None:
        return _REALM if refusal.status == 401 else None
    said = {"error": refusal.challenge_error, "error_description": refusal.detail, **refusal.challenge_parameters}
    return ", ".join((_REALM, *(f'{name}="{value}"' for name, value in said.items())))


def _render_http_exception(exception: HTTPException) -> Response | HTTPException:
    """What werkzeug refuses by itself, and ``abort`` in routes of others: status, words and headers pass through.

    A redirect and an answer that is ready stay what they are. Every 500 is a crash.
    """
    status = exception.code
    if exception.response is not None or status is None or status < 400:
        return exception
    if status == 500:
        return _render_crash(exception)
    known, words = _OF_STATUS.get(status), _words(exception)
    if known is not None:
        response = render(known(words))
    else:
        code = _code(status)
        detail = words or str(exception.description or exception.name)
        problem = _members(code, exception.name, status, detail, _request_id())
        response = _answer(problem, status, code)
    if status == 401:
        response.headers["WWW-Authenticate"] = _REALM
    given = Headers(exception.get_headers())
    for name in ("Content-Type", "Content-Length"):  # those of a page
        given.remove(name)
    for name, _ in given:
        response.headers.setlist(name, given.getlist(name))
    return response


def _words(exception: HTTPException) -> str | None:
    """The description, where it is not werkzeug's own."""
    usual = default_exceptions.get(exception.code or 0, HTTPException).description
    return None if exception.description in (None, usual) else str(exception.description)


def _code(status: int) -> str:
    """Of a status that no refusal of ours has: its name in HTTP."""
    try:
        return _RENAMED.get(status) or HTTPStatus(status).name.lower()
    except ValueError:
        return f"status_{status}"


def _render_crash(error: Exception) -> Response:
    """A fault of ours: logged with its trace, told to nobody."""
    log.error("crash", exc_info=audit.without_text(error), extra={"error": type(error).__name__})
    return render(errors.InternalError())
