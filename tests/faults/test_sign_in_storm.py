"""Two hundred clients sign in at once: other requests stay fast, and bcrypt uses its full capacity."""

import asyncio
import random
import time
from collections import Counter

import pytest

from authservice.config import SETTINGS
from bench.run import WORKERS, bcrypt_limit
from tests.conftest import ALICE, BOB, PASSWORD
from tests.faults.load import Client, Load, percentile
from tests.server.processes import sign_up

pytestmark = pytest.mark.faults
CLIENTS = 200
SECONDS = 30
# Of the capacity of bcrypt alone. Here the clients and the database use the same cores: 0.85 to 0.88 on two quiet ones.
LEAST_SHARE = 0.75
(COST,) = [int(setting.default or 0) for setting in SETTINGS if setting.name == "BCRYPT_LOG_ROUNDS"]


def p99(load, kind, since):
    return percentile([answer.seconds for answer in load.of(kind) if answer.moment >= since], 99)


def storm(service, token):
    """Run the storm. Returns each expectation as a sentence with its figures, and whether it holds."""
    limits = [bcrypt_limit(COST, 4)]

    async def sign_in(client: Client, number: int) -> None:
        """Back off as client libraries do: wait for Retry-After, then twice as long each time, up to four seconds."""
        wait_seconds = 1.0
        while time.monotonic() < ended:
            answer = await client.ask("POST", "/auth", {"email": ALICE, "password": PASSWORD})
            load.answers.append(("sign_in", answer))
            if answer.status == 200:
                return
            await asyncio.sleep(wait_seconds * random.uniform(0.75, 1.25))
            wait_seconds = min(2 * wait_seconds, 4)

    with Load(service.url) as load:
        load.start(load.pass_guard(token), 3, pause_seconds=0.1)
        load.start(load.get("healthz", "/healthz"), 1, pause_seconds=0.1)
        time.sleep(4)
        calm = {kind: p99(load, kind, 0) for kind in ("guarded", "healthz")}
        started = time.monotonic()
        ended = started + SECONDS
        load.start(sign_in, CLIENTS, pause_seconds=0)
        time.sleep(SECONDS)
        load.stop()
        limits.append(bcrypt_limit(COST, 4))

    assert load.failures == []  # no timeout and no closed connection
    signed_in = Counter(answer.status for answer in load.of("sign_in") if answer.moment <= ended)
    assert set(signed_in) == {200, 503}
    assert {answer.code for answer in load.of("sign_in")} == {None, "hashing_busy"}
    assert load.statuses("guarded") == load.statuses("healthz") == {200}
    assert len(load.of("guarded")) > 500
    rate, limit = signed_in[200] / (ended - started), sum(limits) / 2
    stormy = {kind: p99(load, kind, started) for kind in calm}
    refused = percentile([answer.seconds for answer in load.of("sign_in") if answer.status == 503], 50)
    return {
        f"sign-ins: {rate:.1f}/s of {limit:.1f}/s that bcrypt can do": rate >= LEAST_SHARE * limit,
        f"half of the refusals came within {refused:.3f} s": refused < 0.05,
        # Compare with the same routes on this machine without a storm.
        **{
            f"p99 of {kind}: {stormy[kind]:.3f} s, {calm[kind]:.3f} s when calm": stormy[kind] < 0.1 + calm[kind]
            for kind in calm
        },
    }


def test_200_clients_that_sign_in_for_30_s_slow_down_nobody(serve):
    # Use the default cost and queue: the other tests have cheap hashes and a long queue. All clients share one address.
    service = serve(WORKERS, FLASK_BCRYPT_LOG_ROUNDS="", FLASK_BCRYPT_QUEUE="", FLASK_CONNECTIONS_PER_CLIENT="0")
    token, _ = sign_up(service, BOB), sign_up(service, ALICE)
    found = storm(service, token)
    print(found)
    if not all(found.values()):  # retry once, in case the machine was busy with other work
        found = storm(service, token)
        print(found)
    assert all(found.values()), found
