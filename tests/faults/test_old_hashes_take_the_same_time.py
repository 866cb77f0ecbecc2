"""The time of a refused sign-in does not reveal which stack made the hash of an account, or that there is none."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from authservice.security.legacy import parse
from tests.conftest import PASSWORD
from tests.faults.oracle import KNOWN, areas_of, assert_no_kind_differs, connect, times_of
from tests.repetitions import TIMES
from tests.security.legacy_hashes import (
    PEPPER,
    SETTINGS,
    by_argon2,
    by_bcrypt,
    by_devise,
    by_firebase,
    by_meteor,
    by_pbkdf2,
    by_scrypt,
)

pytestmark = [pytest.mark.faults, pytest.mark.weekly]
COST = 10
WRONG = "wrong " + PASSWORD
THEN = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 100 * TIMES  # times of each kind; and as many again before one is said to differ
ENVIRONMENT = {
    "FLASK_BCRYPT_LOG_ROUNDS": str(COST),
    "FLASK_LEGACY_PEPPER": PEPPER,
    "FLASK_LEGACY_FIREBASE_KEY": SETTINGS["LEGACY_FIREBASE_KEY"],
}
OURS = {KNOWN: by_bcrypt(PASSWORD.encode(), COST), "unknown": None}
UP_TO_OURS = {
    **OURS,
    "meteor": by_meteor(PASSWORD, COST - 1),  # hashed twice: Meteor has had two forms of one password
    "cheapmeteor": by_meteor(PASSWORD, 4),
    "devise": by_devise(PASSWORD, COST),
    "passport": by_pbkdf2(PASSWORD, iterations=25_000, size=512),
    "argon2id": by_argon2(PASSWORD, memory=19_456, passes=2),
    "scrypt": by_scrypt(PASSWORD, ln=13),
    "firebase": by_firebase(PASSWORD),
}
DEARER = {
    **OURS,
    "cheapmeteor": by_meteor(PASSWORD, 4),
    "passport": by_pbkdf2(PASSWORD, iterations=25_000, size=512),
    "dear": by_scrypt(PASSWORD, ln=14, r=16),
}


def insert(database, kinds):
    for kind, stored in kinds.items():
        if stored is not None:
            document = {"email": f"{kind}@example.com", "password": stored}
            hashed = parse(stored)
            if hashed is None:
                document["passwordChangedAt"] = THEN
            elif hashed.dear >= 40:
                document["legacy"] = {"work": hashed.dear}
            database.users.insert_one(document)


def seconds_of(connection, kind):
    body = json.dumps({"email": f"{kind}@example.com", "password": WRONG})
    started = time.perf_counter()
    connection.request("POST", "/auth", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    seconds = time.perf_counter() - started
    assert (answer.status, json.loads(answer.read())["code"]) == (401, "credentials_invalid")
    return seconds


@pytest.mark.parametrize("kinds", [UP_TO_OURS, DEARER], ids=["none dearer than ours", "one dearer than ours"])
def test_the_response_time_does_not_reveal_the_format(serve, database, kinds):
    insert(database, kinds)
    services = [serve(1, **ENVIRONMENT) for _ in range(2)]

    def half(service):
        with connect(service) as connection:
            return times_of(kinds, lambda kind: seconds_of(connection, kind), AT_ONCE // 2)

    def measure():
        with ThreadPoolExecutor(2) as threads:  # each service hashes one password at a time, on one core
            one, other = threads.map(half, services)
        return {kind: one[kind] + other[kind] for kind in kinds}

    times = measure()
    if not all(0.45 <= area <= 0.55 for area in areas_of(times).values()):  # of nine kinds, one is easily so by chance
        more = measure()
        times = {kind: times[kind] + more[kind] for kind in kinds}
    assert_no_kind_differs(times)
