"""A legacy collection that takes longer to index than a request may is indexed when a worker starts."""

import re

import pytest
import requests

from tests.conftest import ALICE, PASSWORD
from tests.server.processes import wait_until

pytestmark = pytest.mark.faults
USERS = 2_500
TIMEOUT_MS = "500"  # the embedded server takes longer for each of the two indexes


def test_indexes_that_take_longer_than_a_request_are_built_at_the_start(serve, database):
    for first in range(0, USERS, 1_000):
        database.users.insert_many({"email": f"User{first + number}@example.com"} for number in range(1_000))
    service = serve(workers=1, ready="", FLASK_MONGO_TIMEOUT_MS=TIMEOUT_MS)
    wait_until(lambda: {"email_1", "email_any_case"} <= {*database.users.index_information()}, 60)
    service.wait_until_ready("/readyz")
    for email, status in (("user7@example.com", 409), (ALICE, 201), (ALICE.upper(), 409)):
        answer = requests.post(f"{service.url}/users", json={"email": email, "password": PASSWORD}, timeout=10)
        assert answer.status_code == status, answer.text
    failed = set(re.findall(r'"event": "database_error", "operation": "(\w+)"', service.output()))
    assert failed <= {"claim_next"}  # of the mails that wait: asked again later, and no client waits for it
    assert "Traceback" not in service.output()
