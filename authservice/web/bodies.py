"""Request bodies: strict JSON in, exact complaints out, and the Blueprint whose routes document both."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar

import flask_smorest
from flask import Flask, Request, Response, current_app, request
from flask.json.provider import DefaultJSONProvider
from gunicorn.http.errors import ParseException
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser

from authservice import errors, extensions
from authservice.config import BODY_MAX_BYTES
from authservice.errors import Fault, Refusal
from authservice.security import emails, strict_json
from authservice.web.problems import MEDIA_TYPE

PASSWORD_MAX_CHARACTERS = 1_024
_FAULTS_MAX = 20  # a body of 16 KiB can have a thousand, and nobody reads them

Function = TypeVar("Function", bound=Callable[..., Any])


class StrictJSONProvider(DefaultJSONProvider):
    """JSON by RFC 8259 alone. flask-pymongo's own would read MongoDB's Extended JSON: operators from strangers."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return strict_json.loads(s)


class BodyParser(FlaskParser):
    """webargs, through the strict provider, with refusals of ours."""

    # A misspelt ?role= that were passed over would open what it was to close.
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
        # webargs puts the location, json, on top of marshmallow's own tree
        faults = [fault for tree in error.messages_dict.values() for fault in _faults(tree)]
        raise errors.ValidationFailed(faults[:_FAULTS_MAX])


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A Blueprint whose bodies are strict and whose refusals stand in the documentation."""

    ARGUMENTS_PARSER = BodyParser()

    def arguments(self, schema: type[Schema], **kwargs: Any) -> Callable[[Function], Function]:
        """What the route takes. The schema is made once: of a class webargs would make one for each request."""
        return super().arguments(schema(), **kwargs)  # type: ignore[no-any-return]

    def refusals(
        self, *refusals: type[Refusal], security: list[dict[str, list[str]]] | None = None
    ) -> Callable[[Function], Function]:
        """Document which refusals a route can answer, by status, and how it is guarded."""
        by_status: dict[int, list[type[Refusal]]] = {}
        every: tuple[type[Refusal], ...] = (*refusals, errors.InternalError)
        for refusal in every:
            by_status.setdefault(refusal.status, []).append(refusal)
        problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        documented: dict[str, Any] = {
            "responses": {
                str(status): {
                    "description": "; ".join(f"`{one.code}`: {one.title}" for one in ones),
                    "content": problem,
                }
                for status, ones in sorted(by_status.items())
            }
        }
        if security is not None:
            documented["security"] = security
        return self.doc(**documented)  # type: ignore[no-any-return]


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of exactly these origins call, with the headers that a front-end sends and reads."""
    extensions.cors.init_app(
        app,
        # Compiled and anchored: of a text with a bracket, as in http://[::1]:8100, flask-cors makes an open pattern.
        origins=[re.compile(rf"{re.escape(origin)}\Z") for origin in origins],
        supports_credentials=True,
        allow_headers=["Authorization", "Content-Type", "X-Requested-With", "X-Request-Id"],
        expose_headers=["Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"],
        methods=["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
        max_age=600,
        vary_header=True,
        always_send=False,
        intercept_exceptions=False,  # answers to exceptions pass through after_request as well
    )
    allow = app.after_request_funcs[None].pop()
    # Without an Origin there is no page of another site behind it: those shall not pay for headers that nobody reads.
    app.after_request(lambda response: allow(response) if "Origin" in request.headers else response)


OF_BODY = (
    errors.BodyMalformed,
    errors.BodyTooLarge,
    errors.MediaTypeUnsupported,
    errors.ValidationFailed,
)


def no_content(headers: Mapping[str, str] | None = None) -> Response:
    """A 204, which has no body and so no media type."""
    response = Response(status=204, headers=headers)
    del response.headers["Content-Type"]
    return response


def fault(code: str, detail: str) -> list[Any]:
    """A marshmallow message that keeps its code: a list of one, for marshmallow takes lists as they are."""
    return [{"code": code, "detail": detail}]


_UNKNOWN = fault("unknown_field", "This field is not one of the body's fields.")


class Body(Schema):
    """A JSON object, or a query, with exactly the fields that it declares."""

    may_be_absent = False  # whether no body at all counts as {}
    error_messages: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "unknown": _UNKNOWN,
        "type": fault("wrong_type", "Send a JSON object."),
    }


_TEXT_MESSAGES: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": fault("required", "This field is required."),
    "null": fault("wrong_type", "Send a string."),
    "invalid": fault("wrong_type", "Send a string."),
    "invalid_utf8": fault("wrong_type", "Send a string."),
}


class Text(fields.String):
    """A string, with complaints that carry a code."""

    default_error_messages = _TEXT_MESSAGES
    described: ClassVar[dict[str, Any]] = {}  # what the documentation says of every field of the kind

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(metadata={**self.described, **(metadata or {})}, **kwargs)


class Choice(Text):
    """One of a few words."""

    def __init__(self, *words: str, metadata: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(metadata={**metadata, "enum": [*words]}, **kwargs)
        self.words = words

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        word: str = super()._deserialize(value, *args, **kwargs)
        if word not in self.words:
            raise ValidationError(fault("unknown_value", f"Send {' or '.join(self.words)}."))
        return word


class Number(fields.Integer):
    """A whole number of a query, in bounds."""

    def __init__(self, lowest: int, highest: int, *, metadata: Mapping[str, Any], **kwargs: Any) -> None:
        message: Any = fault("out_of_range", f"Send a whole number from {lowest} to {highest}.")
        super().__init__(
            error_messages={"invalid": message, "null": message, "too_large": message},
            metadata={**metadata, "minimum": lowest, "maximum": highest},
            **kwargs,
        )
        self.lowest, self.highest = lowest, highest

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        number = super()._deserialize(value, *args, **kwargs)
        if number is None or not self.lowest <= number <= self.highest:
            raise self.make_error("invalid", input=value)
        return number


class Flag(fields.Boolean):
    """true or false, and nothing that looks like it."""

    truthy = {True}
    falsy = {False}
    default_error_messages = {**_TEXT_MESSAGES, "invalid": fault("wrong_type", "Send true or false.")}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):  # 1 equals True
            raise self.make_error("invalid", input=value)
        return value


class NewEmail(Text):
    """An e-mail address that somebody signs up with. The value stays as it was typed."""

    described = {"format": "email", "maxLength": emails.EMAIL_MAX_CHARACTERS, "example": "natalie@example.com"}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        typed: str = super()._deserialize(value, *args, **kwargs)
        if not emails.is_address(typed):
            raise ValidationError(fault("invalid_email", "Send an e-mail address such as natalie@example.com."))
        return typed


class Email(Text):
    """An e-mail address that somebody shows: another stack may have let in what we would not."""

    described = {"maxLength": emails.EMAIL_MAX_CHARACTERS, "example": "natalie@example.com"}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        typed: str = super()._deserialize(value, *args, **kwargs)
        if len(typed.strip()) > emails.EMAIL_MAX_CHARACTERS:
            raise ValidationError(fault("too_long", f"Use at most {emails.EMAIL_MAX_CHARACTERS} characters."))
        return typed


class Password(Text):
    """A password that somebody shows: anything that could ever have been set."""

    described = {
        "format": "password",
        "minLength": 1,
        "maxLength": PASSWORD_MAX_CHARACTERS,
        "example": "correct horse battery",
    }

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        password: str = super()._deserialize(value, *args, **kwargs)
        if "\0" in password:  # for bcrypt "ab" equals "ab\0ab"
            raise ValidationError(fault("invalid_character", "Use any characters but NUL."))
        if not password:
            raise ValidationError(fault("too_short", "Send a password."))
        if len(password) > PASSWORD_MAX_CHARACTERS:
            raise ValidationError(fault("too_long", f"Use at most {PASSWORD_MAX_CHARACTERS} characters."))
        return password


class NewPassword(Password):
    """A password that somebody sets: PASSWORD_MIN_LENGTH code points or more."""

    described = {
        **Password.described,
        "description": f"PASSWORD_MIN_LENGTH (8) to {PASSWORD_MAX_CHARACTERS} code points, any but NUL",
    }

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        password = super()._deserialize(value, *args, **kwargs)
        least: int = current_app.config["PASSWORD_MIN_LENGTH"]
        if len(password) < least:
            raise ValidationError(fault("too_short", f"Use at least {least} characters."))
        return password


def _is_absent(request: Request) -> bool:
    return not request.content_length and "Transfer-Encoding" not in request.headers


def _read(request: Request) -> bytes:
    """The whole body. Raises BodyTooLarge, and never hands out a part.

    werkzeug cuts a chunked body at the limit in silence, so that one is read from the server itself; and it leaves
    the end of a body of known length to gunicorn, which hands out what had come when the connection ended.
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
    except (ParseException, OSError):  # a chunk that is none, or a connection that ended early
        raise errors.BodyMalformed("The body ended early or was not well chunked.") from None
    if len(body) > BODY_MAX_BYTES:
        raise errors.BodyTooLarge
    return body


def _faults(messages: Any, pointer: str = "") -> Iterator[Fault]:
    """marshmallow's tree of messages, flat; its name ``_schema`` stands for the body itself, unless it was sent."""
    if isinstance(messages, Mapping) and messages.keys() == {"code", "detail"} and isinstance(messages["code"], str):
        yield Fault(pointer, messages["code"], messages["detail"])
    elif isinstance(messages, Mapping):
        for name, inner in messages.items():
            is_whole = name == "_schema" and inner != [_UNKNOWN]
            yield from _faults(inner, pointer if is_whole else f"{pointer}/{_escaped(name)}")
    elif isinstance(messages, list):
        for inner in messages:
            yield from _faults(inner, pointer)
    else:
        yield Fault(pointer, "invalid", str(messages))


def _escaped(name: object) -> str:
    """RFC 6901 section 3, at a length that an answer bears."""
    return str(name)[:100].replace("~", "~0").replace("/", "~1")
