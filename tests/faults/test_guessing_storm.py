"""Guesses at two real workers: exactly the budget is hashed, memory stays bounded, and the counters expire."""

import http.client
import json
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.server.processes import sign_up, wait_until

pytestmark = pytest.mark.faults

GUESSES = 64
EMAILS = 100_000
CONNECTIONS = 8
MEMORY_MAX_MIB = 8  # by which a worker may grow
EXPIRY_SECONDS = 240  # two minutes at most by MongoDB's sweeps, and as long again for a slow machine


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


def test_a_hundred_thousand_emails_cost_little_memory_and_few_documents(limited, database):
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


def test_counters_expire_by_themselves(limited, database):
    short = {f"FLASK_LIMIT_SIGN_IN_{name}": "5/1s" for name in ("CLIENT", "ACCOUNT", "ACCOUNT_CLIENT")}
    service = limited(ready="/readyz", **short)
    assert guess(service.url) == 401
    assert database.limits.count_documents({}) == 3
    wait_until(lambda: database.limits.count_documents({}) == 0, EXPIRY_SECONDS)
