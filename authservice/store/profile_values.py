"""The values of a profile: what MongoDB can hold of them, and what JSON can show."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
from bson.decimal128 import Decimal128, create_decimal128_context

from authservice.errors import Fault, ValidationFailed

PROFILE_MAX_BYTES = 16_384  # as BSON
_DEPTH_MAX = 32  # MongoDB refuses a document with more than 100 levels


class UnfitValue(ValueError):
    """A value that cannot be stored: where it is, and why. ``path`` has names and positions."""

    def __init__(self, path: tuple[str | int, ...], code: str, detail: str) -> None:
        super().__init__(code)
        self.path, self.code, self.detail = path, code, detail


def storable(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """The value as it is when it is read again. Raises UnfitValue.

    A date becomes midnight in UTC, a UUID becomes text: BSON has neither in a form that every stack reads.
    """
    if len(path) > _DEPTH_MAX:
        raise UnfitValue(path[:_DEPTH_MAX], "too_deep", f"Nest at most {_DEPTH_MAX} levels.")
    if isinstance(value, Mapping):
        return {_name(name, path): storable(inner, (*path, name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner, (*path, position)) for position, inner in enumerate(value)]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, UUID):
        return str(value)
    try:
        return _number_or_time(value)
    except (ArithmeticError, ValueError):
        raise UnfitValue(path, "out_of_range", "MongoDB cannot hold this number or time.") from None
    except TypeError:
        raise UnfitValue(path, "invalid", f"A {type(value).__name__} cannot be stored.") from None


def _name(name: object, path: tuple[str | int, ...]) -> str:
    """No operator and no path of MongoDB's query language, and no ``$ref``, which drivers read as a reference."""
    if not isinstance(name, str) or name.startswith("$") or "." in name or "\0" in name:
        raise UnfitValue((*path, str(name)), "invalid_name", "Use names without a leading $, a dot or NUL.")
    return name


def _number_or_time(value: object) -> Any:
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Decimal) and (kept := create_decimal128_context().create_decimal(value)) == value:
        return Decimal128(kept)
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, int | float | Decimal):
        raise ValueError
    raise TypeError


def require_small(values: Mapping[str, Any]) -> None:
    """Raises ValidationFailed for storable values that are too large together."""
    if len(bson.encode(values)) > PROFILE_MAX_BYTES:
        raise ValidationFailed(
            [Fault("", "too_large", f"All fields together have at most {PROFILE_MAX_BYTES:,} bytes.")]
        )


def plain(value: Any) -> Any:
    """The value in JSON's types, whatever another stack has stored."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return str(value)
