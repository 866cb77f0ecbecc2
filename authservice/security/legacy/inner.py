"""A hash of bytes, by a known function with parameters that are not too dear."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Inner:
    """``matches`` takes the bytes that the stack makes of a password. ``dear`` is as in LegacyHash."""

    scheme: str
    cost: str
    dear: float
    matches: Callable[[bytes], bool] = field(repr=False, compare=False)


def unbase64(text: str) -> bytes | None:
    """The bytes; None unless it is canonical base64, with its padding."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
