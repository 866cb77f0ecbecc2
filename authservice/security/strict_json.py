"""Strict JSON (RFC 8259) for bodies and tokens: text that two parsers could read in two ways is refused."""

import json
import math
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:
    """Parse one JSON text; bytes must be UTF-8 without a byte order mark. Raises ValueError for anything else."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, parse_float=_finite
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be stored or hashed
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a duplicate name")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number out of range")
    return number
