"""One-time links and codes: made again from what is stored, whenever they are sent or compared.

Only the id of an asking and its time are stored. Who has the whole database but not the JWT secret can open nothing,
and a mail that is sent again has the same link and the same code.
"""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from authservice.security import emails, tokens

CODE_DIGITS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = r"[A-Za-z0-9_~:-]{1,128}"
_WELL_FORMED_ID = re.compile(_ID)
_WELL_FORMED_TOKEN = re.compile(rf"({_ID})\.[A-Za-z0-9_-]{{43}}")  # 32 bytes in base64url


def secret_of(kind: str, id: str, asked_at: datetime, address: str) -> bytes:
    """The 32 bytes that the link and the code are made of.

    The database keeps milliseconds, so ``asked_at`` counts without its microseconds. All spellings of an address give
    the same secret.
    """
    return _secrets_of(kind, id, asked_at, address)[0]


def _secrets_of(kind: str, id: str, asked_at: datetime, address: str) -> list[bytes]:
    """By the key that signs, and by the old ones: mails that were sent before stay good."""
    milliseconds = (asked_at - _EPOCH) // timedelta(milliseconds=1)
    signed = json.dumps([kind, id, milliseconds, emails.normal_form(address)])  # no two lists have the same JSON
    return [hmac.digest(key, signed.encode(), "sha256") for key in tokens.policy().one_time_keys]


def link_token(kind: str, id: str, asked_at: datetime, address: str) -> str:
    """The id and the secret, in characters that need no escape in a query."""
    if not _WELL_FORMED_ID.fullmatch(id):
        raise ValueError("an id that cannot be in a URL")
    return _token(id, secret_of(kind, id, asked_at, address))


def code(kind: str, id: str, asked_at: datetime, address: str) -> str:
    """Digits to type. They need a limit of guesses; the link needs none."""
    return _digits(secret_of(kind, id, asked_at, address))


def id_of(token: str) -> str | None:
    """The id in a link's token, which is not checked yet; None if it is no such token."""
    found = _WELL_FORMED_TOKEN.fullmatch(token)
    return found[1] if found else None


def matches_token(given: str, kind: str, id: str, asked_at: datetime, address: str) -> bool:
    if id_of(given) != id:  # also if another stack stored an id that cannot be in a link
        return False
    return _is_among(given, [_token(id, secret) for secret in _secrets_of(kind, id, asked_at, address)])


def matches_code(given: str, kind: str, id: str, asked_at: datetime, address: str) -> bool:
    """People type spaces and dashes where the mail groups the digits."""
    digits = re.sub(r"[\s-]", "", given)
    return _is_among(digits, [_digits(secret) for secret in _secrets_of(kind, id, asked_at, address)])


def _token(id: str, secret: bytes) -> str:
    return f"{id}.{urlsafe_b64encode(secret).decode().rstrip('=')}"


def _digits(secret: bytes) -> str:
    return f"{int.from_bytes(secret) % 10**CODE_DIGITS:0{CODE_DIGITS}}"


def _is_among(given: str, good: list[str]) -> bool:
    return any(hmac.compare_digest(given.encode("utf-8", "replace"), one.encode()) for one in good)
