"""The values of records: JSON, MongoDB's extended JSON, the text of CSV, and BSON types of documents in place.

No function raises, whatever it is given. What is not of the asked type reads as None.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bson import Binary, Int64, ObjectId

ID_MAX_CHARACTERS = 200
_WORDS_FOR_YES = frozenset(("true", "t", "1", "yes", "y"))
_WORDS_FOR_NO = frozenset(("false", "f", "0", "no", "n", "null", "none", ""))
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_DATE_MAX_CHARACTERS = 64
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBERS = ("$numberLong", "$numberInt", "$numberDouble")
# A number of seconds stays below this until the year 5138, a number of milliseconds is above it since 1973.
_SECONDS_BELOW = 100_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(record: object, path: str) -> object:
    """The value under a dotted path; the columns that mongoexport writes have the path as their name.

    Objects on the way may be JSON in text, as in the columns of CSV.
    """
    if not isinstance(record, Mapping):
        return None
    if path in record:
        found: object = record[path]
        return found
    name, dot, rest = path.partition(".")
    return at(parsed(record.get(name)), rest) if dot else None


def first(record: object, *paths: str) -> object:
    """The value under the first of the paths that has one."""
    return next((value for path in paths if (value := at(record, path)) not in (None, "")), None)


def text(value: object) -> str | None:
    """Text that is not empty and that MongoDB can store."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return value


def items(value: object) -> list[object]:
    """A list, which may be JSON in text."""
    found = parsed(value)
    return found if isinstance(found, list) else []


def identifier(value: object) -> str | None:
    """An id of any type as text. The same id reads the same in an export and in place."""
    if isinstance(value, Mapping):
        value = _value_of(value)
    if isinstance(value, str):
        return text(value) if len(value) <= ID_MAX_CHARACTERS else None
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, bytes):  # also bson.Binary
        return value.hex() if 0 < len(value) <= ID_MAX_CHARACTERS // 2 else None
    if isinstance(value, uuid.UUID):
        return value.hex
    whole = number(value)
    return None if whole is None else str(whole)


def number(value: object) -> int | None:
    """A whole number of at most 64 bits."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in _NUMBERS if name in value), None)
        value = value.removesuffix(".0") if isinstance(value, str) else value
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, str):
        value = int(value) if _INTEGER.fullmatch(value) else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return int(value) if -(2**63) <= value < 2**63 else None


def moment(value: object) -> datetime | None:
    """A time in ISO 8601, or in seconds or milliseconds since 1970; in UTC if it does not say."""
    if isinstance(value, Mapping):
        value = value.get("$date")
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        if len(value) > _DATE_MAX_CHARACTERS:
            return None
        try:
            value = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        except ValueError:
            return None
    try:
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return _in_milliseconds(aware.astimezone(UTC))
        seconds = float(value) if isinstance(value, float) else number(value)
        if seconds is None:
            return None
        unit = timedelta(seconds=1) if abs(seconds) < _SECONDS_BELOW else timedelta(milliseconds=1)
        return _in_milliseconds(_EPOCH + seconds * unit)
    except (OverflowError, ValueError):
        return None


def base64_bytes(value: object) -> bytes | None:
    """Base64 of both alphabets, with or without padding."""
    if not isinstance(value, str):
        return None
    standard = value.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def hex_bytes(value: object) -> bytes | None:
    return bytes.fromhex(value) if isinstance(value, str) and _HEX.fullmatch(value) else None


def decoded(value: object) -> object:
    """A value of any depth with the BSON types that its extended JSON stands for.

    An object that is no such type, and has a name with a dollar sign, is None: it could be an operator.
    """
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if isinstance(value, datetime):
        return moment(value)
    if not isinstance(value, Mapping):
        return value
    if not any(isinstance(name, str) and name.startswith("$") for name in value):
        return {name: decoded(one) for name, one in value.items()}
    if value.keys() == {"$date"}:
        return moment(value)
    if value.keys() == {"$oid"}:
        return ObjectId(value["$oid"]) if ObjectId.is_valid(value["$oid"]) else None
    if value.keys() == {"$binary"}:
        return _binary(value["$binary"])
    if value.keys() == {"$numberDouble"}:
        return _float(value["$numberDouble"])
    whole = number(value) if value.keys() <= {"$numberInt", "$numberLong"} else None
    return Int64(whole) if "$numberLong" in value and whole is not None else whole


def is_true(value: object) -> bool:
    """Only what clearly means yes."""
    if isinstance(value, str):
        return value.strip().lower() in _WORDS_FOR_YES
    return value is True or number(value) == 1


def is_false(value: object) -> bool:
    """What clearly means no, None and empty text among it."""
    if isinstance(value, str):
        return value.strip().lower() in _WORDS_FOR_NO
    return value is None or value is False or number(value) == 0


def since(value: object) -> datetime | bool | None:
    """When something became so, from a boolean or a date. True if it does not say, None if it is not so, or unclear."""
    return True if is_true(value) else None if is_false(value) else moment(value)


def since_at_all(value: object) -> datetime | bool | None:
    """As ``since``, but what is unclear counts as yes: for what locks a user out."""
    return None if is_false(value) else since(value) or True


def lasts(until: object) -> bool:
    """Whether a lock lasts for more than a day from now: a shorter one is not worth moving.

    What is no time, such as PostgreSQL's infinity, lasts.
    """
    end = moment(until)
    return not is_false(until) if end is None else end > datetime.now(UTC) + timedelta(days=1)


def parsed(value: object) -> object:
    """Objects and lists that are kept as JSON in text; None if it is none."""
    if not isinstance(value, str):
        return value
    if not value.startswith(("{", "[")):
        return None
    try:
        found: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found


def _value_of(extended: Mapping[str, object]) -> object:
    """The id in extended JSON."""
    if "$oid" in extended:
        return extended["$oid"]
    if "$uuid" in extended:
        return text(extended["$uuid"]) and str(extended["$uuid"]).replace("-", "")
    binary = extended.get("$binary")
    if isinstance(binary, Mapping):
        return base64_bytes(binary.get("base64"))
    return number(extended)


def _binary(parts: object) -> bytes | None:
    raw, kind = base64_bytes(at(parts, "base64")), hex_bytes(at(parts, "subType"))
    if raw is None or kind is None or len(kind) != 1:
        return None
    return Binary(raw, kind[0]) if kind[0] else raw


def _float(written: object) -> float | None:
    try:
        return float(written) if isinstance(written, str) else None
    except ValueError:
        return None


def _in_milliseconds(exact: datetime) -> datetime:
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)
