"""Guards that ask in the same moment are answered by one read, each as if it had asked alone."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pymongo.monitoring
import pytest
from flask import g, request_finished

from authservice.store import sessions
from tests.conftest import ALICE, BOB, PASSWORD, SECRET, bearer, sign_in
from tests.faults.proxy import Proxy
from tests.server.processes import wait_until
from tests.service import ROOT

PATIENCE_SECONDS = 30


class Database(pymongo.monitoring.CommandListener):
    """Counts the reads, and can hold the answer of the next one back."""

    def __init__(self):
        self.reads = 0
        self.has_read = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def started(self, event):
        self.reads += event.command_name == "find"

    def succeeded(self, event):
        if not self.may_answer.is_set() and not self.has_read.is_set():
            self.has_read.set()
            assert self.may_answer.wait(PATIENCE_SECONDS)

    def failed(self, event):
        pass


@pytest.fixture
def held(monkeypatch):
    database = Database()
    monkeypatch.setattr(pymongo.monitoring, "_LISTENERS", pymongo.monitoring._LISTENERS)
    pymongo.monitoring.register(database)
    return database


@pytest.fixture
def settings(held, settings):
    """While the one connection is taken, guards gather."""
    return {**settings, "MONGO_URI": settings["MONGO_URI"] + "&maxPoolSize=1"}


@pytest.fixture
def bob(client):
    assert client.post("/users", json={"email": BOB, "password": PASSWORD}).status_code == 201
    return sign_in(client, BOB)["token"]


class Together:
    """Requests that are sent while an earlier one holds the connection; their statuses, in that order."""

    def __init__(self, app, held, token):
        self._app, self._held, self._token = app, held, token
        self._threads = ThreadPoolExecutor(100)

    def ask(self, token):
        return self._threads.submit(lambda: self._app.test_client().get("/users/test", headers=bearer(token)))

    def __enter__(self):
        self._held.may_answer.clear()
        self._first = self.ask(self._token)
        assert self._held.has_read.wait(PATIENCE_SECONDS)
        self._held.reads = 0
        return self

    def __exit__(self, *_):
        self._held.may_answer.set()
        assert self._first.result(PATIENCE_SECONDS).status_code == 200
        self._threads.shutdown()

    def statuses(self, tokens, gathered):
        """``gathered`` users wait for the connection, and then it is free."""
        asked = [self.ask(token) for token in tokens]
        wait_until(lambda: sessions._gathering is not None and len(sessions._gathering.sessions) == gathered)
        time.sleep(0.2)  # for those who ask for a user that is there already
        self._held.may_answer.set()
        return [answer.result(PATIENCE_SECONDS).status_code for answer in asked]


def test_many_who_ask_together_are_one_read_and_each_gets_his_own_answer(app, client, held, alice, bob, database):
    client.post("/users", json={"email": "disabled@example.com", "password": PASSWORD})
    disabled = sign_in(client, "disabled@example.com")["token"]
    database.users.update_one({"email": "disabled@example.com"}, {"$set": {"disabledAt": "yesterday"}})
    client.post("/users", json={"email": "deleted@example.com", "password": PASSWORD})
    deleted = sign_in(client, "deleted@example.com")["token"]
    database.users.delete_one({"email": "deleted@example.com"})
    with Together(app, held, alice) as together:
        statuses = together.statuses([alice, bob, disabled, deleted] * 10, gathered=4)
        assert statuses == [200, 200, 401, 401] * 10
        assert held.reads == 1


def test_each_is_shown_himself(app, held, alice, bob):
    with Together(app, held, alice) as together:

        def who(token):
            return app.test_client().get("/users/me", headers=bearer(token)).get_json()["email"]

        asked = [together._threads.submit(who, token) for token in [alice, bob] * 10]
        wait_until(lambda: sessions._gathering is not None and len(sessions._gathering.sessions) == 2)
        held.may_answer.set()
        assert [answer.result(PATIENCE_SECONDS) for answer in asked] == [ALICE, BOB] * 10


def test_of_two_sessions_of_one_user_each_is_asked_for(app, client, held, alice, bob):
    ended = sign_in(client, ALICE)["token"]
    assert client.delete("/auth", headers=bearer(ended)).status_code == 204
    with Together(app, held, bob) as together:
        assert together.statuses([alice, ended, alice, ended, bob], gathered=2) == [200, 401, 200, 401, 200]


def test_nobody_is_answered_by_a_read_that_was_sent_before_he_asked(app, held, alice, database):
    with Together(app, held, alice) as together:
        database.users.update_one({"email": ALICE}, {"$set": {"sessions": []}})  # the first read knows nothing of it
        assert together.statuses([alice], gathered=1) == [401]


def test_more_than_one_read_takes_are_all_answered(app, client, held, alice, monkeypatch):
    monkeypatch.setattr(sessions, "_GUARDS_MAX", 3)
    tokens = []
    for number in range(8):
        assert client.post("/users", json={"email": f"{number}@example.com", "password": PASSWORD}).status_code == 201
        tokens.append(sign_in(client, f"{number}@example.com")["token"])
    with Together(app, held, alice) as together:
        assert together.statuses(tokens, gathered=2) == [200] * 8
        assert held.reads == 3


def test_what_the_read_took_counts_for_all_of_them(app, held, alice, bob):
    taken = []

    def look(app, response):
        taken.append(g.database_time.seconds)

    with request_finished.connected_to(look, app), Together(app, held, alice) as together:
        assert together.statuses([bob, alice], gathered=2) == [200, 200]
    assert len(taken) == 3
    assert min(taken) > 0


@pytest.fixture
def proxy(database_server):
    with Proxy(int(database_server.rpartition(":")[2])) as proxy:
        yield proxy


class TestThroughAProxy:
    @pytest.fixture
    def settings(self, settings, proxy, database_server):
        uri = settings["MONGO_URI"].replace(database_server, f"127.0.0.1:{proxy.port}")
        return {**settings, "MONGO_URI": uri}

    def test_a_document_that_is_no_utf_8_is_no_fault_of_the_others(self, app, held, proxy, alice, bob):
        proxy.replaced[BOB.encode()] = b"\xff" * len(BOB)
        with Together(app, held, alice) as together:
            assert together.statuses([bob, alice, bob], gathered=2) == [200] * 3
            assert held.reads == 1
        me = app.test_client().get("/users/me", headers=bearer(bob))
        assert me.get_json()["email"] == "\ufffd" * len(BOB)

    class TestThatSwallowsAll:
        @pytest.fixture
        def settings(self, settings):
            return {**settings, "MONGO_TIMEOUT_MS": 1_000}

        def test_all_who_ask_together_are_refused(self, app, proxy, alice, bob):
            proxy.mode = "hole"

            def ask(token):
                started = time.monotonic()
                status = app.test_client().get("/users/test", headers=bearer(token)).status_code
                return status, time.monotonic() - started

            with ThreadPoolExecutor(20) as threads:
                answers = list(threads.map(ask, [alice, bob] * 10))
            assert {status for status, _ in answers} == {503}
            assert max(seconds for _, seconds in answers) < 5


NEVER_IDLE = """
from gevent import monkey
monkey.patch_all(os=False, queue=False, signal=False, subprocess=False)
import socket, sys, gevent
from authservice import create_app
client = create_app().test_client()
there, here = socket.socketpair()
there.send(b"always there to be read, and never read")
watcher = gevent.get_hub().loop.io(here.fileno(), 1)
watcher.start(lambda: None)
print(client.get("/users/test", headers={"Authorization": sys.argv[1]}).status_code)
"""


def test_a_worker_that_always_has_something_to_do_asks_all_the_same(mongo_uri, alice):
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    asked = subprocess.run(
        [sys.executable, "-c", NEVER_IDLE, f"Bearer {alice}"],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert asked.stdout == "200\n"
