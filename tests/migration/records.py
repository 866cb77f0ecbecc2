"""Users of other stacks, as they stand in a collection and as mongoexport writes them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import argon2
import bcrypt
from bson import ObjectId, json_util

from authservice.migration.moved import MovedUser
from authservice.migration.profiles import PROFILES
from authservice.security import legacy
from authservice.security.legacy import LegacyKeys
from tests.conftest import ALICE

OBJECT_ID = ObjectId("5c0dc18d349bc9479600c171")
CREATED = datetime(2019, 5, 4, 3, 2, 1, 234000, tzinfo=UTC)
SECRET = "pässwörd-日本-😀"
KEYS = LegacyKeys()


def bcrypt_of(secret: str | bytes = SECRET, prefix: bytes = b"2b") -> str:
    secret = secret.encode() if isinstance(secret, str) else secret
    return bcrypt.hashpw(secret, b"$2b$04$saltsaltsaltsaltsaltsu").replace(b"$2b$", b"$" + prefix + b"$").decode()


def in_place(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document


def canonical(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """mongoexport --jsonFormat=canonical"""
    return json.loads(json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS))


def relaxed(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """mongoexport"""
    return json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))


FORMS = (in_place, canonical, relaxed)


def read(profile: str, record: Mapping[str, Any]) -> MovedUser:
    found = PROFILES[profile].read(record)
    assert isinstance(found, MovedUser), found
    return found


def matches(password: str | None, secret: str, keys: LegacyKeys = KEYS) -> bool:
    """Whether the password that was moved is ``secret``, by this service's own check of the format."""
    assert password is not None
    if password.startswith("$2"):
        return bcrypt.checkpw(secret.encode(), password.encode())
    parsed = legacy.parse(password)
    assert parsed is not None, password
    return parsed.matches(secret, keys)


def user(**changes: Any) -> MovedUser:
    """Alice, with nothing but what every stack has."""
    return MovedUser(**{"id": str(OBJECT_ID), "email": ALICE, "password": None, **changes})


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def pbkdf2_of(
    digest: str, salt: bytes, iterations: int, secret: str | bytes = SECRET, size: int | None = None
) -> bytes:
    secret = secret.encode() if isinstance(secret, str) else secret
    return hashlib.pbkdf2_hmac(digest, secret, salt, iterations, size)


def scrypt_of(salt: bytes, n: int = 1024, r: int = 8, p: int = 1) -> bytes:
    return hashlib.scrypt(SECRET.encode(), salt=salt, n=n, r=r, p=p, dklen=64)


def argon2_of(secret: str | bytes = SECRET) -> str:
    return argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(secret, salt=b"saltsaltsaltsalt")
