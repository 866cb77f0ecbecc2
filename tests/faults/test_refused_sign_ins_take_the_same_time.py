"""Nobody learns from the time of a refused sign-in whether there is an account: 300 pairs of measurements a kind."""

import http.client
import json
import random
import time
from datetime import UTC, datetime

import bcrypt
import pytest

from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD

pytestmark = pytest.mark.faults
PAIRS = 300
COST = 10
WRONG = "wrong " + PASSWORD
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def document(email, cost=COST, **fields):
    return {"email": email, "password": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode(), **fields}


KINDS = {
    "unknown": None,
    "disabled": document(BOB, passwordChangedAt=THEN, disabledAt=THEN),
    "broken": {"email": BOB, "password": "broken", "passwordChangedAt": THEN},
    "cheap, of another stack": document(BOB, cost=4),
}


def area_under_curve(ones, others):
    """The probability that one of ``ones`` is greater than one of ``others``: 0.5 tells nothing."""
    wins = sum((one > other) + (one == other) / 2 for one in ones for other in others)
    return wins / (len(ones) * len(others))


@pytest.fixture
def refused_seconds(serve):
    service = serve(1, FLASK_BCRYPT_LOG_ROUNDS=str(COST))
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)

    def ask(email):
        body = json.dumps({"email": email, "password": WRONG})
        started = time.perf_counter()
        connection.request("POST", "/auth", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        seconds = time.perf_counter() - started
        assert (answer.status, json.loads(answer.read())["code"]) == (401, "credentials_invalid")
        return seconds

    yield ask
    connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_tells_nothing(refused_seconds, database, kind):
    database.users.insert_one(document(ALICE, passwordChangedAt=THEN))
    if KINDS[kind] is not None:
        database.users.insert_one(KINDS[kind].copy())
    known, other = [], []
    for _ in range(20):
        refused_seconds(ALICE)  # connections, caches, threads
    emails = {ALICE: known, (BOB if KINDS[kind] else CHARLIE): other}
    for _ in range(PAIRS):
        for email, times in random.sample([*emails.items()], 2):
            times.append(refused_seconds(email))
    found = area_under_curve(other, known)
    print(f"{kind} against known: AUC {found:.3f}")
    assert 0.45 <= found <= 0.55
