"""The time of a refused sign-in does not reveal whether an account exists."""

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import bcrypt
import pytest
import requests

from tests.conftest import PASSWORD
from tests.faults.oracle import KNOWN, assert_no_kind_differs, assert_times_reveal_nothing, connect, times_of

pytestmark = pytest.mark.faults
COST = 10
OF_FIVE = 250  # times of each of five kinds are as exact as 300 of each of three
WRONG = "wrong " + PASSWORD
BETWEEN = (401, "credentials_invalid")  # when the gate that is to be full is free for a moment
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def document(kind, cost=COST, **fields):
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    return {"email": f"{kind}@example.com", "password": hashed, **fields}


KINDS = {
    KNOWN: document(KNOWN, passwordChangedAt=THEN),
    "unknown": None,
    "disabled": document("disabled", passwordChangedAt=THEN, disabledAt=THEN),
    "broken": {**document("broken", passwordChangedAt=THEN), "password": "broken"},
    "cheap": document("cheap", cost=4),  # a legacy user
}


def ask(connection, email, **more):
    """Seconds, status and code of a sign-in with a wrong password."""
    body = json.dumps({"email": email, "password": WRONG, **more})
    started = time.perf_counter()
    connection.request("POST", "/auth", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return time.perf_counter() - started, (answer.status, json.loads(answer.read())["code"])


def test_the_response_time_reveals_nothing(serve, database):
    database.users.insert_many([document for document in KINDS.values() if document])
    services = [serve(1, FLASK_BCRYPT_LOG_ROUNDS=str(COST)) for _ in range(2)]

    def half(service):
        with connect(service) as connection:
            measure = times((401, "credentials_invalid"), lambda email: ask(connection, email))
            return times_of(KINDS, measure, OF_FIVE // 2)

    with ThreadPoolExecutor(2) as threads:  # each service hashes one password at a time, on one core
        one, other = threads.map(half, services)
    assert_no_kind_differs({kind: one[kind] + other[kind] for kind in KINDS})


def times(expected, ask):
    """What measures one sign-in of a kind, until its answer is the expected one."""

    def measure(kind):
        while True:
            seconds, answer = ask(f"{kind}@example.com")
            if answer == expected:
                return seconds
            assert answer == BETWEEN, answer

    return measure


FEW = (KNOWN, "unknown", "disabled")


@pytest.fixture
def strange_tokens(serve, database):
    """Of devices of somebody else: so the account is looked up before the refusal. None has its flood refused."""
    database.create_collection("limits")  # before the services, which would create it too
    database.users.insert_many([KINDS[KNOWN], KINDS["disabled"], document("other", 4)])
    service = serve(1)
    body = {"email": "other@example.com", "password": PASSWORD}
    answers = [requests.post(f"{service.url}/auth", json=body, timeout=30).json() for _ in range(40)]
    service.stop()
    return itertools.cycle(answer["deviceToken"] for answer in answers)


def test_the_response_time_of_too_many_attempts_reveals_nothing(serve, database, strange_tokens):
    with connect(serve(1, FLASK_LIMITS="on", FLASK_LIMIT_SIGN_IN_CLIENT="1/10m")) as connection:
        assert ask(connection, "unknown@example.com")[1] == (401, "credentials_invalid")

        def ask_with_a_device(email):
            return ask(connection, email, deviceToken=next(strange_tokens))

        assert_times_reveal_nothing(FEW, times((429, "too_many_attempts"), ask_with_a_device))


def test_the_response_time_of_a_full_gate_reveals_nothing(serve, database, strange_tokens):
    database.users.insert_one(document("slow", 14))
    service = serve(1, FLASK_BCRYPT_QUEUE="0")
    over = threading.Event()

    def fill_the_gate():
        with connect(service) as connection:
            while not over.is_set():
                ask(connection, "slow@example.com")

    filling = threading.Thread(target=fill_the_gate)
    filling.start()
    try:
        with connect(service) as connection:

            def ask_with_a_device(email):
                return ask(connection, email, deviceToken=next(strange_tokens))

            assert_times_reveal_nothing(FEW, times((503, "hashing_busy"), ask_with_a_device))
    finally:
        over.set()
        filling.join()
