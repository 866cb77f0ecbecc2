"""Connections that are held open with incomplete requests do not slow down the others."""

import contextlib
import json
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.run import cpu_seconds
from tests.faults.attack import BODIES, BODY_PAUSE_SECONDS, DRIPPED_BYTES_A_SECOND, HEADS
from tests.faults.load import Load, percentile
from tests.service import ROOT

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="it needs /proc and 127.0.0.2"),
]
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEADS_SECONDS = 13  # two deadlines of a head and more, so each connection is opened twice
BODIES_SECONDS = 1.8 * BODY_PAUSE_SECONDS  # each is opened twice
CPU_SHARE = 0.2  # of a core, of each worker
FRESH_SECONDS = 1.0


@contextlib.contextmanager
def attack(service, kind, seconds, *more):
    """Run an attack. Yields a dictionary that contains its results afterwards."""
    command = [sys.executable, "-m", "tests.faults.attack", kind, str(service.port), str(seconds), *map(str, more)]
    done = {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield done
            done.update(json.loads(process.communicate(timeout=60)[0]))
        finally:
            process.kill()


def seconds_to_answer(service, address):
    """The seconds until a new connection from ``address`` gets its response."""
    asked = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), 30, source_address=(address, 0)) as connection:
        connection.sendall(GET)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    return time.monotonic() - asked


def resident_mib(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1_048_576


@pytest.mark.parametrize("size", [pytest.param(800_000, marks=pytest.mark.weekly), 32_000])
def test_120_dripping_heads_cost_almost_nothing(serve, size):
    """Heads of 800 KB, and heads of nearly the maximum size."""
    service = serve()
    with Load(service.url) as load:
        load.start(load.get("healthz", "/healthz"), 2, pause_seconds=0.05)
        time.sleep(5)
        started = time.monotonic()
        calm = percentile([answer.seconds for answer in load.of("healthz")], 50)
        workers = service.workers()
        memory = [resident_mib(worker) for worker in workers]
        cpu = [cpu_seconds(worker) for worker in workers]
        with attack(service, "heads", HEADS_SECONDS, size) as done:
            time.sleep(HEADS_SECONDS - 1)
            shares = [
                (cpu_seconds(worker) - before) / (HEADS_SECONDS - 1)
                for worker, before in zip(workers, cpu, strict=True)
            ]
            grown = [resident_mib(worker) - before for worker, before in zip(workers, memory, strict=True)]
        load.stop()
        stormy = percentile([answer.seconds for answer in load.of("healthz") if answer.moment > started], 50)
        assert load.failures == []
        assert load.statuses("healthz") == {200}
    print({"p50": stormy, "calm": calm, "cpu": shares, "MiB": grown, **done})
    assert done["opened"] >= 2 * HEADS
    if size < 32_768:
        assert done["dripped"] > DRIPPED_BYTES_A_SECOND * HEADS_SECONDS / 4
    assert stormy < 3 * calm
    assert max(shares) < CPU_SHARE
    assert max(grown) < 20


@pytest.mark.parametrize("limit", ["", pytest.param("0", marks=pytest.mark.weekly)])
def test_2300_requests_without_their_body_delay_no_newcomer(serve, limit):
    """From one address, and without the limit per address as if from many."""
    service = serve(FLASK_CONNECTIONS_PER_CLIENT=limit)
    taken = {"127.0.0.1": [], "127.0.0.2": []}
    with attack(service, "bodies", BODIES_SECONDS) as done:
        end = time.monotonic() + BODIES_SECONDS
        while time.monotonic() < end:
            for address, seconds in taken.items():
                seconds.append(seconds_to_answer(service, address))
            time.sleep(0.02)
    print({address: (len(found), percentile(found, 50), max(found)) for address, found in taken.items()}, done)
    assert done["opened"] >= 2 * BODIES
    assert max(max(found) for found in taken.values()) < FRESH_SECONDS
    assert '"event": "crash"' not in service.output()
