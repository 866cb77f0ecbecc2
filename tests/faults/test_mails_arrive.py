"""Workers die and the mail server is away: each mail arrives, and one that arrives twice is the same mail."""

import json
import os
import re
import signal
import time

import pytest
import requests

from tests.mail.sink import Sink, code_in, token_in
from tests.mail.test_what_waits_is_delivered import put, waiting
from tests.server.processes import wait_until

pytestmark = pytest.mark.faults
ASKERS = [f"asker{number}@example.com" for number in range(30)]
USERS = [f"user{number}@example.com" for number in range(30)]
ALL = ASKERS + USERS
OUTAGE_SECONDS = 20


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture
def cause(app, database):
    """Let sixty mails be due: half of them by strangers' requests, half in the documents of users."""
    database.users.insert_many([{"email": email, "password": "unused"} for email in ASKERS])

    def cause(service):
        for asker, user in zip(ASKERS, USERS, strict=True):
            answer = requests.post(f"{service.url}/auth/reset", json={"email": asker}, timeout=30)
            assert answer.status_code == 202
            put(app, database, user)

    return cause


def test_sixty_mails_arrive_once_each(serve, database, sink, cause):
    sink.start()
    cause(serve(2, **sink.environment))
    wait_until(lambda: len(sink.got) >= 60 and not waiting(database), 60)
    assert sorted(to for to, _ in sink.got) == sorted(ALL)


def test_workers_are_killed_while_sixty_mails_are_sent_to_a_server_that_was_away(serve, database, sink, cause):
    """Their waits are a sixth of the real ones, also the lease after which another worker takes a mail."""
    service = serve(2, app="tests.faults.impatient:app", **sink.environment)
    cause(service)
    returns = time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < returns:
        time.sleep(OUTAGE_SECONDS / 4)
        kill_all(service)
    assert len(waiting(database)) == 60
    sink.before_answer = lambda: time.sleep(0.2)  # so that there is time to kill in
    sink.start()
    for got in (10, 20, 30):
        wait_until(lambda got=got: len(sink.got) >= got, 60)
        assert any("claim" in mail for mail in waiting(database))
        kill_all(service)
    wait_until(lambda: not waiting(database), 90)

    sent = {email: [(mail["Message-ID"], token_in(mail), code_in(mail)) for mail in sink.to(email)] for email in ALL}
    print(f"{len(sink.got)} mails for 60")
    assert {len({*copies}) for copies in sent.values()} == {1}
    assert {to for to, _ in sink.got} == {*ALL}
    assert_tries_grow_apart(service.output())


def kill_all(service):
    for pid in service.workers():
        os.kill(pid, signal.SIGKILL)


def assert_tries_grow_apart(output):
    lines = [json.loads(line) for line in re.findall(r'^\{.*"mail_postponed".*\}$', output, re.MULTILINE)]
    assert {line["reason"] for line in lines} >= {"ConnectionRefusedError"}
    assert max(line["tries"] for line in lines) < 8, "20 s of pauses that double from 2.5 s on are few tries"
