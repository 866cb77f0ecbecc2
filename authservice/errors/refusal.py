"""What every refusal has."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

_NONE: Mapping[str, object] = MappingProxyType({})


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
    members: Mapping[str, object] = _NONE  # of the problem details, beside those that all have (RFC 9457 section 3.2)
    challenge_parameters: Mapping[str, object] = _NONE  # beside error and error_description

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(self.code)
        self.detail = detail or self.explanation
