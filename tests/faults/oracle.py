"""Whether the time of an answer reveals what kind of account it is about."""

import contextlib
import http.client
import itertools
import json
import random
import time
from datetime import UTC, datetime

KNOWN = "known"
# The standard deviation of the AUC of one of k kinds is sqrt(k / (k - 1) / 12 / PAIRS), or 0.02 for three of them.
# How often a leak is found, and how often one where there is none: docs/decisions/0043-time-of-ci.md
PAIRS = 300


def connect(service):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=30))


def insert_accounts(database, count):
    """Many accounts that are KNOWN, and as many that are disabled; and the collections that mails need."""
    for name in ("limits", "mailRequests"):
        database.create_collection(name)
    then = datetime(2026, 1, 1, tzinfo=UTC)
    for kind, more in {KNOWN: {}, "disabled": {"disabledAt": then}}.items():
        given = {"password": "unused", "passwordChangedAt": then, **more}
        database.users.insert_many([{"email": address(kind, number), **given} for number in range(count)])


def address(kind, number):
    return f"{kind}{number}@example.com"


class Stranger:
    """Asks the service, and collects for each path what it tells besides the ids that it makes up."""

    def __init__(self, connection):
        self._connection = connection
        self._numbers = {}
        self.told = {}

    def ask(self, method, path, **body):
        """Seconds, and the body of the answer."""
        sent = json.dumps(body)
        started = time.perf_counter()
        self._connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        seconds = time.perf_counter() - started
        ids = ("requestId", "resetId", "signUpId")
        shown = {name: len(text) if name in ids else text for name, text in content.items()}
        headers = [(name, text) for name, text in answer.getheaders() if name not in ("Date", "X-Request-Id")]
        self.told.setdefault(path, set()).add((answer.status, str(headers), str(shown)))
        return seconds, content

    def new_address(self, kind):
        """An address that no request has named yet."""
        return address(kind, next(self._numbers.setdefault(kind, itertools.count())))


def assert_times_reveal_nothing(kinds, measure, pairs=PAIRS):
    """``measure(kind)``: the seconds of one answer. KNOWN is one of the kinds."""
    assert_no_kind_differs(times_of(kinds, measure, pairs))


def times_of(kinds, measure, count):
    """``count`` times of each kind, measured in turns."""
    times = {kind: [] for kind in kinds}
    for _ in range(20):
        measure(KNOWN)  # warm up connections, caches and threads
    for _ in range(count):
        for kind in random.sample([*kinds], len(kinds)):
            times[kind].append(measure(kind))
    return times


def assert_no_kind_differs(times):
    """Each kind is compared with all the others together, which is as exact as with KNOWN alone and needs fewer times.

    A kind that differs is found as surely. If two of five differ in the same way, an AUC of 0.6 appears as 0.575.
    """
    found = areas_of(times)
    print("AUC against the others:", {kind: round(area, 3) for kind, area in found.items()})
    assert all(0.45 <= area <= 0.55 for area in found.values()), found


def areas_of(times):
    """Of each kind against all the others together."""
    return {
        kind: area_under_curve(ones, [one for other in times if other != kind for one in times[other]])
        for kind, ones in times.items()
    }


def area_under_curve(ones, others):
    """The probability that one of ``ones`` is greater than one of ``others``. 0.5 reveals nothing."""
    wins = sum((one > other) + (one == other) / 2 for one in ones for other in others)
    return wins / (len(ones) * len(others))
