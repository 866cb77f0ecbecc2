"""Two hundred clients who sign in at once: the others notice nothing, and bcrypt is kept as busy as it can be."""

import subprocess
import sys
import time
from collections import Counter

import pytest

from authservice.security.passwords import HASHING_NICENESS
from tests.conftest import ALICE, BOB, PASSWORD
from tests.faults.load import Client, Load, percentile
from tests.server.processes import sign_up

pytestmark = pytest.mark.faults
CLIENTS = 200
SECONDS = 30
LOG_ROUNDS = 10
WORKERS = 2
CHECKS = f"""
import bcrypt, os, time
os.nice({HASHING_NICENESS})
hashed = bcrypt.hashpw(b"x", bcrypt.gensalt({LOG_ROUNDS}))
checks, started = 0, time.perf_counter()
while time.perf_counter() - started < 4:
    bcrypt.checkpw(b"y", hashed)
    checks += 1
print(checks / (time.perf_counter() - started))
"""


def bcrypt_limit():
    """Checks a second of as many processes as there are workers, doing nothing else, at the workers' priority."""
    running = [
        subprocess.Popen([sys.executable, "-c", CHECKS], stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
    ]
    return sum(float(process.communicate(timeout=60)[0]) for process in running)


def test_200_clients_who_sign_in_for_30_s_disturb_nobody(serve):
    # The gate as it stands by default; the suite's own services have a wide one.
    service = serve(WORKERS, FLASK_BCRYPT_LOG_ROUNDS=str(LOG_ROUNDS), FLASK_BCRYPT_QUEUE="", FLASK_MAX_SESSIONS="100")
    token, _ = sign_up(service, BOB), sign_up(service, ALICE)
    before = bcrypt_limit()

    async def sign_in(client: Client, number: int) -> None:
        answer = await client.ask("POST", "/auth", {"email": ALICE, "password": PASSWORD})
        load.answers.append(("sign_in", answer))

    with Load(service.url) as load:
        load.start(sign_in, CLIENTS, pause_seconds=1)  # what Retry-After asks of them
        load.start(load.pass_guard(token), 4, pause_seconds=0.05)
        load.start(load.get("healthz", "/healthz"), 2, pause_seconds=0.05)
        started = time.monotonic()
        time.sleep(SECONDS)
        ended = time.monotonic()
        load.stop()
        lag = load.lag_seconds(since=started)
        limit = (before + bcrypt_limit()) / 2

        assert load.failures == []  # none timed out, none was cut off
        signed_in = Counter(answer.status for answer in load.of("sign_in") if answer.moment <= ended)
        rate = signed_in[200] / (ended - started)
        p99 = {
            kind: percentile([answer.seconds for answer in load.of(kind)], 99)
            for kind in ("guarded", "healthz", "sign_in")
        }
        report = (
            f"{rate:.1f} sign-ins/s of {limit:.1f} ({rate / limit:.2f}), {dict(signed_in)}, p99 {p99}, lag {lag:.3f}"
        )
        print(report)
        assert set(signed_in) == {200, 503}, report
        assert {answer.code for answer in load.of("sign_in")} == {None, "hashing_busy"}
        assert load.statuses("guarded") == load.statuses("healthz") == {200}
        assert len(load.of("guarded")) > 1_000
        assert p99["guarded"] < 0.1 + lag, report
        assert p99["healthz"] < 0.1 + lag, report
        assert rate >= 0.85 * limit, report
        refused = [answer.seconds for answer in load.of("sign_in") if answer.status == 503]
        assert percentile(refused, 50) < 0.05, report
