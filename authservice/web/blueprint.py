"""The Blueprint: its bodies are strict, and what its routes take and answer stands in the documentation."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import flask_smorest
from flask import Response
from marshmallow import Schema

from authservice import errors
from authservice.errors import Refusal
from authservice.web.bodies import BodyParser
from authservice.web.problems import MEDIA_TYPE

OF_BODY = (
    errors.BodyMalformed,
    errors.BodyTooLarge,
    errors.MediaTypeUnsupported,
    errors.ValidationFailed,
)

Function = TypeVar("Function", bound=Callable[..., Any])


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


def no_content(headers: Mapping[str, str] | None = None) -> Response:
    """A 204, which has no body and so no media type."""
    response = Response(status=204, headers=headers)
    del response.headers["Content-Type"]
    return response
