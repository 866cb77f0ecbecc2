"""Parses request bodies and queries: strict JSON in, exact faults out."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn

from flask import Request, current_app
from flask.json.provider import DefaultJSONProvider
from gunicorn.http.errors import ParseException
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from authservice import errors
from authservice.config import BODY_MAX_BYTES
from authservice.errors import Fault
from authservice.security import strict_json

_FAULTS_MAX = 20  # a body of 16 KiB can have a thousand


class StrictJSONProvider(DefaultJSONProvider):
    """JSON exactly as in RFC 8259. flask-pymongo's provider would read MongoDB's Extended JSON, and so operators."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return strict_json.loads(s)


class BodyParser(FlaskParser):
    """webargs with the strict JSON provider and our refusals."""

    # If a misspelt ?role= were ignored, a route would be open that should be closed.
    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        if getattr(schema, "may_be_absent", False) and _is_absent(req):
            return {}
        if req.mimetype != "application/json":
            raise errors.MediaTypeUnsupported
        try:
            return current_app.json.loads(_read(req))
        except ValueError:
            raise errors.BodyMalformed from None

    def handle_error(self, error: ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        # webargs puts the location, such as json, above marshmallow's tree
        faults = [fault for tree in error.messages_dict.values() for fault in faults_of(tree)]
        raise errors.ValidationFailed(faults[:_FAULTS_MAX])


def fault(code: str, detail: str) -> list[Any]:
    """A marshmallow message with a code: a list of one, because marshmallow does not change lists."""
    return [{"code": code, "detail": detail}]


_UNKNOWN = fault("unknown_field", "This field is not one of the body's fields.")


# The messages of an app's own fields have no codes. Its other messages are ``invalid``.
_CODES_OF_MARSHMALLOW = {
    "Missing data for required field.": "required",
    "Field may not be null.": "wrong_type",
    "Unknown field.": "unknown_field",
}


class Body(Schema):
    """A JSON object or a query that accepts exactly the fields that it declares."""

    may_be_absent = False  # whether a missing body counts as {}
    error_messages: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "unknown": _UNKNOWN,
        "type": fault("wrong_type", "Send a JSON object."),
    }


def _is_absent(request: Request) -> bool:
    return not request.content_length and "Transfer-Encoding" not in request.headers


def _read(request: Request) -> bytes:
    """The whole body, and never a part of it. Raises BodyTooLarge, BodyMalformed.

    werkzeug silently cuts a chunked body at the limit, so this reads it from the server. For a body with a length,
    gunicorn returns what has arrived when the connection ends, so this compares the lengths.
    """
    try:
        if request.content_length is not None:
            if request.content_length > BODY_MAX_BYTES:
                raise errors.BodyTooLarge
            body: bytes = request.get_data()
            if len(body) < request.content_length:
                raise errors.BodyMalformed("The body ended early.")
            return body
        if not request.environ.get("wsgi.input_terminated"):
            return b""
        body = request.environ["wsgi.input"].read(BODY_MAX_BYTES + 1)
    except (ParseException, OSError):  # a malformed chunk, or a connection that ended early
        raise errors.BodyMalformed("The body ended early, or its chunks are malformed.") from None
    if len(body) > BODY_MAX_BYTES:
        raise errors.BodyTooLarge
    return body


def faults_of(messages: Any, pointer: str = "") -> Iterator[Fault]:
    """The leaves of marshmallow's tree of messages. ``_schema`` is the body itself, unless it was sent."""
    if isinstance(messages, Mapping) and messages.keys() == {"code", "detail"} and isinstance(messages["code"], str):
        yield Fault(pointer, messages["code"], messages["detail"])
    elif isinstance(messages, Mapping):
        for name, inner in messages.items():
            is_whole = name == "_schema" and inner != [_UNKNOWN]
            yield from faults_of(inner, pointer if is_whole else f"{pointer}/{_escaped(name)}")
    elif isinstance(messages, list):
        for inner in messages:
            yield from faults_of(inner, pointer)
    else:
        yield Fault(pointer, _CODES_OF_MARSHMALLOW.get(str(messages), "invalid"), str(messages))


def _escaped(name: object) -> str:
    """As in RFC 6901 section 3, and cut, because the client may send a long name."""
    return str(name)[:100].replace("~", "~0").replace("/", "~1")
