"""The Blueprint of all features: strict bodies, and routes that document what they take and answer."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import flask_smorest
from flask import Response
from marshmallow import Schema

from authservice import errors
from authservice.errors import Refusal
from authservice.web import problems
from authservice.web.parsing import BodyParser

OF_BODY = (
    errors.BodyMalformed,
    errors.BodyTooLarge,
    errors.MediaTypeUnsupported,
    errors.ValidationFailed,
)
OF_EVERY_REQUEST = (
    errors.RequestMalformed,
    errors.RequestTimeout,
    errors.UriTooLong,
    errors.HeadersTooLarge,
    errors.InternalError,
)

Function = TypeVar("Function", bound=Callable[..., Any])


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A flask-smorest Blueprint with strict bodies and documented refusals."""

    ARGUMENTS_PARSER = BodyParser()

    def arguments(self, schema: type[Schema], **kwargs: Any) -> Callable[[Function], Function]:
        """Declare the body or query of a route. Given a class, webargs would create a schema for each request."""
        return super().arguments(schema(), **kwargs)  # type: ignore[no-any-return]

    def refusals(
        self, *refusals: type[Refusal], security: Sequence[Mapping[str, list[str]]] = (), **documented: Any
    ) -> Callable[[Function], Function]:
        """Document the refusals of a route, by status, and its guard. Without ``security`` the route is open.

        ``documented`` are further members of the operation. Its operationId is the name of the function.
        """
        by_status: dict[int, dict[type[Refusal], None]] = {}  # used as an ordered set
        every: tuple[type[Refusal], ...] = (*refusals, *OF_EVERY_REQUEST)
        for refusal in every:
            by_status.setdefault(refusal.status, {})[refusal] = None
        responses = {
            str(status): {
                "description": "; ".join(f"`{one.code}`: {one.title}" for one in ones),
                "content": {problems.MEDIA_TYPE: {"schema": problems.schema_of(frozenset(ones))}},
            }
            for status, ones in sorted(by_status.items())
        }

        def document(route: Function) -> Function:
            documenting = self.doc(
                operationId=_camel_case(route.__name__), responses=responses, security=[*security], **documented
            )
            return documenting(route)  # type: ignore[no-any-return]

        return document


def no_content(headers: Mapping[str, str] | None = None, status: int = 204) -> Response:
    """An answer without a media type: it has no body."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


def _camel_case(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
