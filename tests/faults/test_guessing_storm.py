"""Guesses at two real workers: exactly the budget is hashed, memory stays bounded, and the counters expire."""

import http.client
import json
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.repetitions import TIMES
from tests.server.processes import sign_up, wait_until

pytestmark = pytest.mark.faults

GUESSES = 64
EMAILS = 20_000 * TIMES
CONNECTIONS = 8
MILLISECOND = timedelta(milliseconds=1)  # the precision of a date in MongoDB
MEMORY_MAX_MIB = 1.6 * TIMES  # by which a worker may grow: 168 bytes for each e-mail that it has seen
SLACK_SECONDS = 60  # that a counter stays after it is full again
SWEEP_SECONDS = 180  # a minute at most by MongoDB's sweeps, and two more for a slow machine


def guess(url):
    body = {"email": ALICE, "password": "a wrong one"}
    return requests.post(f"{url}/auth", json=body, timeout=60).status_code


def refused_sign_ins(service):
    text = requests.get(f"{service.url}/metrics", timeout=10).text
    counts = re.findall(r'^authservice_sign_ins_total{device="new",outcome="refused"} (\S+)', text, re.M)
    return sum(map(float, counts))


def memory_mib(pid):
    return int(re.search(r"^Pss_Anon:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) / 1024


@pytest.fixture
def limited(serve, database):
    """``limited(...)``: the service with its limits on, as shipped."""
    database.create_collection("limits")  # SecantusDB 0.7.0b3 can hang when two workers create it at once
    return lambda **environment: serve(FLASK_LIMITS="on", **environment)


def test_of_64_parallel_guesses_at_two_workers_exactly_the_budget_is_hashed(limited):
    service = limited()
    sign_up(service, ALICE)
    start = threading.Barrier(GUESSES)

    def attack(_):
        start.wait(30)
        return guess(service.url)

    with ThreadPoolExecutor(GUESSES) as threads:
        answers = sorted(threads.map(attack, range(GUESSES)))
    assert answers == [401] * 5 + [429] * (GUESSES - 5)
    assert refused_sign_ins(service) == 5


@pytest.mark.weekly
def test_many_emails_cost_little_memory_and_few_documents(limited, database):
    service = limited()

    def flood(count):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        statuses = set()
        for _ in range(count):
            body = json.dumps({"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD})
            connection.request("POST", "/auth", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            statuses.add(answer.status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        [*threads.map(flood, [500] * CONNECTIONS)]  # warm
        before = {pid: memory_mib(pid) for pid in service.workers()}
        statuses = set().union(*threads.map(flood, [EMAILS // CONNECTIONS] * CONNECTIONS))
    grown = [memory_mib(pid) - mib for pid, mib in before.items()]
    documents = database.limits.count_documents({})
    print({"grown_mib": grown, "documents": documents})
    assert statuses <= {401, 429}
    assert max(grown) < MEMORY_MAX_MIB
    assert documents < 200


@pytest.mark.waits
def test_counters_expire_by_themselves(limited, database):
    short = {f"FLASK_LIMIT_SIGN_IN_{name}": "5/1s" for name in ("CLIENT", "ACCOUNT", "ACCOUNT_CLIENT")}
    service = limited(ready="/readyz", **short)
    asked = datetime.now(UTC)
    assert guess(service.url) == 401
    counters = [*database.limits.find()]
    assert len(counters) == 3
    expiry = timedelta(seconds=1 + SLACK_SECONDS)
    for counter in counters:
        assert asked + expiry - MILLISECOND <= counter["expireAt"] <= datetime.now(UTC) + expiry
    # Wait for the sweep alone, not for the slack too.
    database.limits.update_many({}, {"$set": {"expireAt": asked}})
    wait_until(lambda: database.limits.count_documents({}) == 0, SWEEP_SECONDS)
