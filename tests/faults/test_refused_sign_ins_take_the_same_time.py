"""The time of a refused sign-in does not reveal whether an account exists: 400 pairs of measurements per kind."""

import http.client
import json
import random
import time
from datetime import UTC, datetime

import bcrypt
import pytest

from tests.conftest import PASSWORD

pytestmark = pytest.mark.faults
PAIRS = 400  # the standard deviation of the AUC is then 0.02; with 300 it would be half of the tolerance
COST = 10
WRONG = "wrong " + PASSWORD
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


def test_the_response_time_reveals_nothing(refused_seconds, database):
    database.users.insert_many([document for document in KINDS.values() if document])
    times = {kind: [] for kind in KINDS}
    for _ in range(20):
        refused_seconds(f"{KNOWN}@example.com")  # warm up connections, caches and threads
    for _ in range(PAIRS):
        for kind in random.sample([*KINDS], len(KINDS)):
            times[kind].append(refused_seconds(f"{kind}@example.com"))
    known = times.pop(KNOWN)
    found = {kind: area_under_curve(ones, known) for kind, ones in times.items()}
    print("AUC against known:", {kind: round(area, 3) for kind, area in found.items()})
    assert all(0.45 <= area <= 0.55 for area in found.values()), found
