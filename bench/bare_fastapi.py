"""The same route as bare_flask.py on FastAPI, as its documentation has it for a driver that blocks."""

import os
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from fastapi import FastAPI
from pymongo import MongoClient

from bench.bare_flask import PROJECTION

app = FastAPI()
client: MongoClient[dict[str, Any]] = MongoClient(os.environ["BENCH_MONGO_URI"], tz_aware=True)
users = client.get_default_database().users
user_id, session_id = ObjectId(os.environ["BENCH_USER_ID"]), os.environ["BENCH_SESSION_ID"]


@app.get("/users/test")
def test() -> dict[str, str]:
    alive = {"$elemMatch": {"id": session_id, "expiresAt": {"$gt": datetime.now(UTC)}}}
    found = users.find_one({"_id": user_id, "disabledAt": None, "sessions": alive}, PROJECTION)
    assert found is not None
    return {"message": "You did it!"}
