"""Workers that are killed or reloaded under load: acknowledged writes stay, and no other request fails."""

import os
import signal
import time

import pytest
import requests

from tests.faults.load import Load
from tests.repetitions import TIMES
from tests.server.processes import sign_up, wait_until

pytestmark = pytest.mark.faults
ROOMY = {"FLASK_MAX_SESSIONS": "100"}
KILLS = 4 * TIMES
RELOADS = 5 * TIMES


def test_killing_a_worker_loses_only_its_own_requests(serve):
    service = serve(**ROOMY)
    token = sign_up(service, "alice@example.com")
    with Load(service.url) as load:
        load.start(load.sign_up, 4)
        load.start(load.pass_guard(token), 4)
        for _ in range(KILLS):
            time.sleep(0.5)
            wait_until(lambda: len(service.workers()) == 2)
            known, victim = len(load.failures), service.workers()[0]
            killed = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            time.sleep(0.3)
            assert requests.get(f"{service.url}/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=2).ok
            assert time.monotonic() - killed < 2
            wait_until(lambda victim=victim: len(set(service.workers()) - {victim}) == 2)
            lost = load.failures[known:]
            assert len(lost) <= 8, lost  # at most one per client: the request that was running
            assert all(moment - killed < 2 for moment, _ in lost)
        load.stop()
        assert load.statuses("guarded") == {200}
        assert load.statuses("sign_up") == {201}
        assert len(load.accounts) > 20
        load.read_back()


def test_hups_and_then_term_fail_no_request(serve):
    service = serve(**ROOMY)
    token = sign_up(service, "alice@example.com")
    with Load(service.url) as load:
        load.start(load.pass_guard(token), 4)
        load.start(load.sign_up, 2)
        for _ in range(RELOADS):
            before = service.workers()
            service.signal(signal.SIGHUP)
            wait_until(lambda before=before: len(set(service.workers()) - set(before)) >= 2)
        assert load.failures == []
        assert len(load.of("guarded")) > 200
        load.read_back()

        service.signal(signal.SIGTERM)
        wait_until(lambda: service.process.poll() is not None, 40)
        load.stop()
        # Connections are refused now, which sends no request. Every request that was sent has its response.
        assert {what for _, what in load.failures} <= {"refused"}
        assert load.statuses("guarded") == {200}
        assert load.statuses("sign_up") == {201}
        assert service.process.returncode == 0
