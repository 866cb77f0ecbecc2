"""Building the indexes takes long on a large collection; users who have an account notice nothing."""

import threading

import bcrypt
import pytest
from pymongo.errors import NetworkTimeout

from authservice.store import indexes
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, PASSWORD, bearer, sign_in
from tests.server.processes import wait_until


@pytest.fixture
def settings(settings):
    return {**settings, "MONGO_TIMEOUT_MS": 500}


@pytest.fixture
def hashed():
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def test_sign_ins_and_guards_go_on_while_sign_ups_are_told_to_come_again(client, database, hashed, monkeypatch):
    build, may_go_on = indexes._build_missing, threading.Event()
    monkeypatch.setattr(indexes, "_build_missing", lambda users: may_go_on.wait(30) and build(users))
    database.users.insert_one({"email": ALICE, "password": hashed})
    for _ in range(3):
        token = sign_in(client, ALICE)["token"]
        assert_ok(client.get("/users/test", headers=bearer(token)))
        assert_problem(client.post("/users", json={"email": BOB, "password": PASSWORD}), 503, "database_unavailable")
        assert_problem(client.get("/readyz"), 503, "database_unavailable")
    may_go_on.set()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert_ok(client.post("/users", json={"email": BOB, "password": PASSWORD}), 201)


def test_a_build_that_fails_is_no_database_that_does_not_answer(client, database, hashed, monkeypatch):
    tries = []

    def fail(users):
        tries.append(1)
        raise NetworkTimeout("as one that takes too long")

    monkeypatch.setattr(indexes, "_build_missing", fail)
    database.users.insert_one({"email": ALICE, "password": hashed})
    for _ in range(3):
        token = sign_in(client, ALICE)["token"]
        assert_ok(client.get("/users/test", headers=bearer(token)))
        assert_problem(client.get("/readyz"), 503, "database_unavailable")
    assert len(tries) == 1  # the next attempt is in a minute
