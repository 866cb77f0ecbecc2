"""The Blueprint: its bodies are strict, and what its routes take and answer stands in the documentation."""

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
    """A Blueprint whose bodies are strict and whose refusals stand in the documentation."""

    ARGUMENTS_PARSER = BodyParser()

    def arguments(self, schema: type[Schema], **kwargs: Any) -> Callable[[Function], Function]:
        """What the route takes. The schema is made once: of a class webargs would make one for each request."""
        return super().arguments(schema(), **kwargs)  # type: ignore[no-any-return]

    def refusals(
        self, *refusals: type[Refusal], security: Sequence[Mapping[str, list[str]]] = (), **documented: Any
    ) -> Callable[[Function], Function]:
        """Document a route: the refusals that it can answer, by status, and how it is guarded; without, it is open.

        ``documented`` are further members of the operation. Its operationId is the name of the function.
        """
        by_status: dict[int, dict[type[Refusal], None]] = {}  # a set that keeps its order
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


def no_content(headers: Mapping[str, str] | None = None) -> Response:
    """A 204, which has no body and so no media type."""
    response = Response(status=204, headers=headers)
    del response.headers["Content-Type"]
    return response


def _camel_case(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
