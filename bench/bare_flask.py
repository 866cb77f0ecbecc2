"""The minimum of a guarded route: Flask, and the one find_one of the guard."""

import os
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from flask import Flask
from pymongo import MongoClient

PROJECTION = {"email": 1, "roles": 1, "createdAt": 1, "disabledAt": 1, "emailVerifiedAt": 1, "language": 1}


def create_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    client: MongoClient[dict[str, Any]] = MongoClient(os.environ["BENCH_MONGO_URI"], tz_aware=True)
    users = client.get_default_database().users
    user_id, session_id = ObjectId(os.environ["BENCH_USER_ID"]), os.environ["BENCH_SESSION_ID"]

    @app.get("/users/test")
    def test() -> dict[str, str]:
        alive = {"$elemMatch": {"id": session_id, "expiresAt": {"$gt": datetime.now(UTC)}}}
        found = users.find_one({"_id": user_id, "disabledAt": None, "sessions": alive}, PROJECTION)
        assert found is not None
        return {"message": "You did it!"}

    return app
