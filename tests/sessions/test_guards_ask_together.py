"""One read answers all guards of the same moment, each as if it were alone."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import g, request_finished

from authservice.store import session_batch
from tests.conftest import ALICE, BOB, PASSWORD, SECRET, bearer, sign_in, state_of
from tests.database import uri_with
from tests.faults.proxy import Proxy
from tests.server.processes import wait_until
from tests.service import ROOT
from tests.sessions.commands import Commands, heard

PATIENCE_SECONDS = 30


class Database(Commands):
    """A proxy in front of the database that can hold back the answer of the next read."""

    def __init__(self):
        super().__init__()
        self.has_read = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def reads(self):
        return sum("find" in command for command in self.seen)

    def succeeded(self, event):
        if not self.may_answer.is_set() and not self.has_read.is_set():
            self.has_read.set()
            assert self.may_answer.wait(PATIENCE_SECONDS)


@pytest.fixture
def held():
    with heard(Database()) as database:
        yield database


@pytest.fixture
def batches(monkeypatch):
    """All batches, in order."""
    made = []

    class Recorded(session_batch.LookupBatch):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(session_batch, "LookupBatch", Recorded)
    return made


@pytest.fixture
def settings(held, settings, database):
    """With one connection, guards gather while it is in use."""
    return {**settings, "MONGO_URI": uri_with(settings["MONGO_URI"], database.name, maxPoolSize="1")}


@pytest.fixture
def bob(client):
    return token_of(client, BOB)


def token_of(client, email):
    """The access token of a new user."""
    assert client.post("/users", json={"email": email, "password": PASSWORD}).status_code == 201
    return sign_in(client, email)["token"]


def timed(app, token):
    """The status of a guarded request, and its time in seconds."""
    started = time.monotonic()
    status = app.test_client().get("/users/test", headers=bearer(token)).status_code
    return status, time.monotonic() - started


class Together:
    """Requests that are sent while an earlier request uses the connection."""

    def __init__(self, app, held, batches, token):
        self._app, self._held, self._batches, self._token = app, held, batches, token
        self._threads = ThreadPoolExecutor(100)

    def ask(self, token, path="/users/test"):
        return self._threads.submit(lambda: self._app.test_client().get(path, headers=bearer(token)))

    def __enter__(self):
        self._held.may_answer.clear()
        self._first = self.ask(self._token)
        assert self._held.has_read.wait(PATIENCE_SECONDS)
        self._held.seen.clear()
        self._batches.clear()
        return self

    def __exit__(self, *_):
        self._held.may_answer.set()
        assert self._first.result(PATIENCE_SECONDS).status_code == 200
        self._threads.shutdown()

    def answers(self, tokens, path="/users/test"):
        """The answers, in the order of the tokens, of requests that all waited for the connection."""
        asked = [self.ask(token, path) for token in tokens]
        wait_until(lambda: self.waiting() == len(tokens))
        self._held.may_answer.set()
        return [answer.result(PATIENCE_SECONDS) for answer in asked]

    def statuses(self, tokens):
        return [answer.status_code for answer in self.answers(tokens)]

    def waiting(self):
        """Wait until the first of each batch waits for the connection, and the others for its answer."""
        events = [batch.answered for batch in self._batches]
        return len(events) + sum(len(event._cond._waiters) for event in events if event)


def test_many_who_ask_together_are_one_read_and_each_gets_his_own_answer(
    app, client, held, batches, alice, bob, database
):
    disabled, deleted = (token_of(client, f"{name}@example.com") for name in ("disabled", "deleted"))
    database.users.update_one({"email": "disabled@example.com"}, {"$set": {"disabledAt": "yesterday"}})
    database.users.delete_one({"email": "deleted@example.com"})
    with Together(app, held, batches, alice) as together:
        statuses = together.statuses([alice, bob, disabled, deleted] * 10)
        assert statuses == [200, 200, 401, 401] * 10
        assert held.reads == 1


def test_each_is_shown_himself(app, held, batches, alice, bob):
    with Together(app, held, batches, alice) as together:
        answers = together.answers([alice, bob] * 10, "/users/me")
        assert [answer.get_json()["email"] for answer in answers] == [ALICE, BOB] * 10
        assert held.reads == 1


def test_of_two_sessions_of_one_user_each_is_asked_for(app, client, held, batches, alice, bob):
    ended = sign_in(client, ALICE)["token"]
    assert client.delete("/auth", headers=bearer(ended)).status_code == 204
    with Together(app, held, batches, bob) as together:
        assert together.statuses([alice, ended, alice, ended, bob]) == [200, 401, 200, 401, 200]


def test_nobody_is_answered_by_a_read_that_was_sent_before_he_asked(app, held, batches, alice, database):
    with Together(app, held, batches, alice) as together:
        database.users.update_one({"email": ALICE}, {"$set": {"sessions": []}})  # the first read came before it
        assert together.statuses([alice]) == [401]


def test_more_than_one_read_takes_are_all_answered(app, client, held, batches, alice, monkeypatch):
    monkeypatch.setattr(session_batch, "_BATCH_MAX", 3)
    tokens = [token_of(client, f"{number}@example.com") for number in range(8)]
    with Together(app, held, batches, alice) as together:
        assert together.statuses(tokens) == [200] * 8
        assert held.reads == 3


def test_what_the_read_took_counts_for_all_of_them(app, held, batches, alice, bob):
    taken = []

    def look(app, response):
        taken.append(g.authservice_time_budget.query_seconds)

    with request_finished.connected_to(look, app), Together(app, held, batches, alice) as together:
        assert together.statuses([bob, alice]) == [200, 200]
    assert len(taken) == 3
    assert min(taken) > 0


class TestWhereTheFirstWaitsTooLong:
    @pytest.fixture
    def settings(self, settings):
        return {**settings, "MONGO_TIMEOUT_MS": 4_000}  # a request may wait half of that for a connection

    def test_who_came_later_waits_on(self, app, held, batches, alice, bob):
        with Together(app, held, batches, alice) as together:
            first = together.ask(alice)
            time.sleep(1.2)
            later = [together.ask(token) for token in (bob, alice, bob)]
            assert first.result(PATIENCE_SECONDS).status_code == 503
            held.may_answer.set()
            assert [answer.result(PATIENCE_SECONDS).status_code for answer in later] == [200] * 3

    def test_nobody_waits_longer_than_his_own_two_seconds(self, app, held, batches, alice, bob):
        with Together(app, held, batches, alice) as together:
            asked = []
            for token in [alice, bob] * 4:
                asked.append(together._threads.submit(timed, app, token))
                time.sleep(0.2)
            for status, seconds in [answer.result(PATIENCE_SECONDS) for answer in asked]:
                assert status == 503
                assert 1.9 < seconds < 3


@pytest.fixture
def proxy(database_port):
    with Proxy(database_port) as proxy:
        yield proxy


class TestThroughAProxy:
    @pytest.fixture
    def settings(self, settings, proxy, uri_through):
        return {**settings, "MONGO_URI": uri_through(proxy.port, maxPoolSize="1")}

    def test_a_document_that_is_no_utf_8_is_no_fault_of_the_others(self, app, held, batches, proxy, alice, bob):
        proxy.replaced[BOB.encode()] = b"\xff" * len(BOB)
        with Together(app, held, batches, alice) as together:
            assert together.statuses([bob, alice, bob]) == [200] * 3
            assert held.reads == 1
        me = app.test_client().get("/users/me", headers=bearer(bob))
        assert me.get_json()["email"] == "\ufffd" * len(BOB)

    class TestThatSwallowsAll:
        @pytest.fixture
        def settings(self, settings):
            return {**settings, "MONGO_TIMEOUT_MS": 1_000}

        def test_all_who_ask_together_are_refused_until_it_is_well_again(self, app, proxy, alice, bob):
            proxy.mode = "hole"

            with ThreadPoolExecutor(20) as threads:
                answers = list(threads.map(lambda token: timed(app, token), [alice, bob] * 10))
            assert {status for status, _ in answers} == {503}
            assert max(seconds for _, seconds in answers) < 2.5
            assert state_of(app).lookups.open_batch is None
            proxy.mode = "pass"
            wait_until(lambda: timed(app, alice)[0] == 200)


GREENLETS = """
from gevent import monkey
monkey.patch_all(os=False, queue=False, signal=False, subprocess=False)
import sys, gevent, pymongo.monitoring
from authservice import create_app

class Reads(pymongo.monitoring.CommandListener):
    seen = 0
    def started(self, event):
        Reads.seen += event.command_name == "find"
    def succeeded(self, event):
        pass
    failed = succeeded

pymongo.monitoring.register(Reads())
app = create_app()
def ask():
    return app.test_client().get("/users/test", headers={"Authorization": sys.argv[1]}).status_code
"""
OF_ONE_MOMENT = """
assert ask() == 200  # connected
Reads.seen = 0
asking = [gevent.spawn(ask) for _ in range(12)]
assert [one.get() for one in asking] == [200] * 12
assert Reads.seen <= 4, Reads.seen
"""
NEVER_IDLE = """
import socket
there, here = socket.socketpair()
there.send(b"always there to be read, and never read")
watcher = gevent.get_hub().loop.io(here.fileno(), 1)
watcher.start(lambda: None)
assert ask() == 200
"""


@pytest.mark.parametrize("what", [OF_ONE_MOMENT, NEVER_IDLE], ids=["of one moment", "never idle"])
def test_greenlets_that_ask_in_one_moment_ask_together_and_not_too_late(mongo_uri, alice, what):
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    subprocess.run(
        [sys.executable, "-c", GREENLETS + what, f"Bearer {alice}"],
        cwd=ROOT, env={**os.environ, **environment}, timeout=60, check=True,
    )  # fmt: skip
