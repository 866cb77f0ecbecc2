"""The time of a refused sign-in does not reveal whether an account exists: 400 pairs of measurements per kind."""

import contextlib
import http.client
import itertools
import json
import random
import threading
import time
from datetime import UTC, datetime

import bcrypt
import pytest
import requests

from tests.conftest import PASSWORD

pytestmark = pytest.mark.faults
PAIRS = 400  # the standard deviation of the AUC is then 0.02; with 300 it would be half of the tolerance
COST = 10
WRONG = "wrong " + PASSWORD
BETWEEN = (401, "credentials_invalid")  # when the gate that is to be full is free for a moment
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def document(kind, cost=COST, **fields):
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    return {"email": f"{kind}@example.com", "password": hashed, **fields}


KNOWN = "known"
KINDS = {
    KNOWN: document(KNOWN, passwordChangedAt=THEN),
    "unknown": None,
    "disabled": document("disabled", passwordChangedAt=THEN, disabledAt=THEN),
    "broken": {**document("broken", passwordChangedAt=THEN), "password": "broken"},
    "cheap": document("cheap", cost=4),  # a legacy user
}


def area_under_curve(ones, others):
    """The probability that one of ``ones`` is greater than one of ``others``. 0.5 reveals nothing."""
    wins = sum((one > other) + (one == other) / 2 for one in ones for other in others)
    return wins / (len(ones) * len(others))


def connect(service):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=30))


def ask(connection, email, **more):
    """Seconds, status and code of a sign-in with a wrong password."""
    body = json.dumps({"email": email, "password": WRONG, **more})
    started = time.perf_counter()
    connection.request("POST", "/auth", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return time.perf_counter() - started, (answer.status, json.loads(answer.read())["code"])


def test_the_response_time_reveals_nothing(serve, database):
    database.users.insert_many([document for document in KINDS.values() if document])
    with connect(serve(1, FLASK_BCRYPT_LOG_ROUNDS=str(COST))) as connection:
        assert_times_reveal_nothing(KINDS, (401, "credentials_invalid"), lambda email: ask(connection, email))


def assert_times_reveal_nothing(kinds, expected, ask):
    def measure(kind):
        while True:
            seconds, answer = ask(f"{kind}@example.com")
            if answer == expected:
                return seconds
            assert answer == BETWEEN, answer

    times = {kind: [] for kind in kinds}
    for _ in range(20):
        measure(KNOWN)  # warm up connections, caches and threads
    for _ in range(PAIRS):
        for kind in random.sample([*kinds], len(kinds)):
            times[kind].append(measure(kind))
    known = times.pop(KNOWN)
    found = {kind: area_under_curve(ones, known) for kind, ones in times.items()}
    print("AUC against known:", {kind: round(area, 3) for kind, area in found.items()})
    assert all(0.45 <= area <= 0.55 for area in found.values()), found


FEW = (KNOWN, "unknown", "disabled")


@pytest.fixture
def strange_tokens(serve, database):
    """Of devices of somebody else: so the account is looked up before the refusal. None has its flood refused."""
    database.users.insert_many([KINDS[KNOWN], KINDS["disabled"], document("other", 4)])
    service = serve(1)
    body = {"email": "other@example.com", "password": PASSWORD}
    answers = [requests.post(f"{service.url}/auth", json=body, timeout=30).json() for _ in range(40)]
    service.stop()
    return itertools.cycle(answer["deviceToken"] for answer in answers)


def test_the_response_time_of_too_many_attempts_reveals_nothing(serve, database, strange_tokens):
    database.create_collection("limits")
    with connect(serve(1, FLASK_LIMITS="on", FLASK_LIMIT_SIGN_IN_CLIENT="1/10m")) as connection:
        assert ask(connection, "unknown@example.com")[1] == (401, "credentials_invalid")
        assert_times_reveal_nothing(
            FEW, (429, "too_many_attempts"), lambda email: ask(connection, email, deviceToken=next(strange_tokens))
        )


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
            assert_times_reveal_nothing(
                FEW, (503, "hashing_busy"), lambda email: ask(connection, email, deviceToken=next(strange_tokens))
            )
    finally:
        over.set()
        filling.join()
