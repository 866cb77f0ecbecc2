"""The same route as bare_flask.py on FastAPI, with the driver's asynchronous client."""

import os
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from fastapi import FastAPI
from pymongo import AsyncMongoClient

from bench.bare_flask import PROJECTION

app = FastAPI()
client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["BENCH_MONGO_URI"], tz_aware=True)
users = client.get_default_database().users
user_id, session_id = ObjectId(os.environ["BENCH_USER_ID"]), os.environ["BENCH_SESSION_ID"]


@app.get("/users/test")
async def test() -> dict[str, str]:
    alive = {"$elemMatch": {"id": session_id, "expiresAt": {"$gt": datetime.now(UTC)}}}
    found = await users.find_one({"_id": user_id, "disabledAt": None, "sessions": alive}, PROJECTION)
    assert found is not None
    return {"message": "You did it!"}
