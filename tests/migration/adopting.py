"""What the tests of ``users adopt`` share: the command, users of several stacks, and what a database holds."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import bcrypt
from bson import Int64, ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from click.testing import Result
from flask import Flask
from pymongo.database import Database

from tests.conftest import PASSWORD

Document = dict[str, Any]

JOINED = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)
ITERATIONS = 25_000  # of Payload
METEOR_ID = "dZ3tXn8pYcq7wR2aB"


def adopt(app: Flask, stack: str, *options: str, stdin: str = "") -> Result:
    """``flask users adopt --from STACK``; with ``--yes`` it is done."""
    return app.test_cli_runner().invoke(args=["users", "adopt", "--from", stack, *options], input=stdin)


def require_done(result: Result, count: int, done: str = "adopted", *, all_in: bool = True, asked: str = "") -> Result:
    """``all_in``: no document stays out, because another has its e-mail or it is unreadable."""
    assert (result.exit_code, result.stderr) == (0 if all_in else 1, asked)
    assert result.stdout.endswith(f"\n{count} {done}.\n")
    return result


def bcrypted(secret: str) -> str:
    return bcrypt.hashpw(secret.encode(), bcrypt.gensalt(4)).decode()


def nestjs(email: str, **more: Any) -> Document:
    return {"_id": ObjectId(), "email": email, "password": bcrypted(PASSWORD), "name": "Natalie", **more, "__v": 0}


def meteor(email: str, known: Any = None, **more: Any) -> Document:
    inner = bcrypted(hashlib.sha256(PASSWORD.encode()).hexdigest())
    return {
        "_id": ObjectId() if known is None else known,
        "createdAt": JOINED,
        "services": {"password": {"bcrypt": inner}, "resume": {"loginTokens": [{"when": JOINED, "hashedToken": "x="}]}},
        "emails": [{"address": email, "verified": True}],
        "score": 1.0,
        "visits": Int64(3),
        **more,
    }


def payload(email: str, **more: Any) -> Document:
    salt = "5f" * 32
    return {
        "_id": ObjectId(),
        "sessions": [{"id": "0d7c6c1e-7c1c-4a4e-8d2f-0a4c4a2d1b11", "createdAt": JOINED, "expiresAt": JOINED}],
        "name": "Natalie",
        "email": email,
        "salt": salt,
        "hash": hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt.encode(), ITERATIONS, 512).hex(),
        "createdAt": JOINED,
        "loginAttempts": 0,
        **more,
    }


def contents(database: Database[dict[str, Any]]) -> dict[str, Any]:
    """Every byte of every document, in the order of the ids, and every index."""
    return {
        name: (documents(database, name), database[name].index_information())
        for name in sorted(database.list_collection_names())
    }


def documents(database: Database[dict[str, Any]], name: str = "users") -> list[bytes]:
    raw = CodecOptions[RawBSONDocument](document_class=RawBSONDocument)
    return [bytes(one.raw) for one in database.get_collection(name, codec_options=raw).find().sort("_id", 1)]


class Stopped(BaseException):
    """As a kill: nothing catches it."""


def stop_after(writes: int, monkeypatch: Any) -> Callable[[], int]:
    """Let the process stop right after so many commands that write. Returns what tells how many there were."""
    from pymongo.collection import Collection

    done = 0

    def counting(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal done
            try:
                return method(*args, **options)
            finally:
                done += 1
                if done == writes:
                    raise Stopped

        return call

    for name in ("bulk_write", "update_many", "delete_many", "create_index", "drop_index", "drop"):
        monkeypatch.setattr(Collection, name, counting(getattr(Collection, name)))
    return lambda: done
