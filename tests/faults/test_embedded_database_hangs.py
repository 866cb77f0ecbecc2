"""The keeper starts the embedded database reliably, and restarts it when it hangs."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from pymongo import MongoClient, WriteConcern
from pymongo.errors import PyMongoError

from authservice import embedded
from authservice.embedded import keeper
from tests.conftest import PASSWORD
from tests.database import needs_embedded
from tests.repetitions import TIMES
from tests.server.processes import on_directory, pass_guard, sign_up, wait_until
from tests.service import Service

pytestmark = [pytest.mark.faults, needs_embedded]
COLD_STARTS = 10 * TIMES
READY_SECONDS = 10
BACK_SECONDS = 15  # five for the probe, and the start
# A keeper with a short timeout for the engine.
IMPATIENT_KEEPER = """
import pathlib, sys
from authservice.embedded import keeper
keeper._ENGINE_SECONDS = 0.6
sys.exit(keeper.keep(pathlib.Path(sys.argv[1]), sys.argv[2:]))
"""


def newcomer(directory: Path, log: Path) -> Service:
    return Service(log, {"FLASK_INSTANCE_PATH": str(directory), "FLASK_BCRYPT_LOG_ROUNDS": "4", "WEB_CONCURRENCY": "2"})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = newcomer(tmp_path / "instance", tmp_path / "log")
    service.wait_until_ready("/readyz")
    yield service
    service.stop()


@pytest.mark.weekly
def test_each_cold_start_is_ready_in_time(tmp_path):
    """Two at a time, as two projects of a developer would start."""

    def start(number):
        directory = tmp_path / f"instance-{number}"
        started = time.monotonic()
        service = newcomer(directory, tmp_path / f"log-{number}")
        try:
            service.wait_until_ready("/readyz")
            seconds = time.monotonic() - started
            # Both workers find the collection and build their indexes.
            body = {"email": "alice@example.com", "password": PASSWORD}
            assert requests.post(f"{service.url}/users", json=body, timeout=10).status_code == 201
            wait_until(lambda: len(service.workers()) == 2)
        finally:
            service.stop()
        assert on_directory(directory) == []
        return seconds

    with ThreadPoolExecutor(2) as threads:
        taken = list(threads.map(start, range(COLD_STARTS)))
    print(f"ready after {min(taken):.2f} to {max(taken):.2f} s")
    assert max(taken) < READY_SECONDS


@pytest.mark.waits
def test_the_collection_exists_before_anybody_can_connect(tmp_path):
    server = embedded.start(tmp_path / "instance", ["people", "users"])
    try:
        with MongoClient(server.uri) as client:
            names = client[embedded.DATABASE].list_collection_names()
            assert sorted(names) == ["limits", "mailRequests", "people", "used_proofs", "users"]
    finally:
        server.stop()


@pytest.mark.waits
def test_a_frozen_database_restarts_on_its_port_with_all_acknowledged_writes(service, tmp_path):
    directory = tmp_path / "instance"
    token = sign_up(service, "alice@example.com")
    kept, database = on_directory(directory)
    port = (directory / "port").read_text()
    os.kill(database, signal.SIGSTOP)
    frozen = time.monotonic()
    wait_until(lambda: on_directory(directory)[1:] not in ([], [database]), BACK_SECONDS)
    wait_until(lambda: pass_guard(service, token).status_code == 200, BACK_SECONDS)
    print(f"back after {time.monotonic() - frozen:.1f} s")
    assert time.monotonic() - frozen < BACK_SECONDS
    assert on_directory(directory)[0] == kept
    assert (directory / "port").read_text() == port
    assert "the embedded database does not answer; starting it again" in service.output()


@pytest.mark.waits
def test_a_database_that_is_frozen_for_two_seconds_is_not_restarted(service, tmp_path):
    token = sign_up(service, "alice@example.com")
    before = on_directory(tmp_path / "instance")
    os.kill(before[1], signal.SIGSTOP)
    time.sleep(2)
    os.kill(before[1], signal.SIGCONT)
    wait_until(lambda: pass_guard(service, token).status_code == 200)
    time.sleep(6)
    assert on_directory(tmp_path / "instance") == before


@pytest.mark.waits
def test_a_keeper_that_was_frozen_with_its_database_does_not_restart_it(service, tmp_path):
    """This happens when the machine sleeps."""
    token = sign_up(service, "alice@example.com")
    before = on_directory(tmp_path / "instance")
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in before:
            os.kill(pid, number)
        time.sleep(8)
    assert on_directory(tmp_path / "instance") == before
    assert pass_guard(service, token).status_code == 200


@pytest.mark.waits
def test_a_probe_is_overdue_without_answers_and_never_with_them(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        probe = keeper._Probe(silent.getsockname()[1], keeper._PING, 5)
        asked = [probe.is_overdue() for _ in range(26)]
        assert asked == [False] * 25 + [True]
        probe.close()
    server = embedded.start(tmp_path / "instance")
    try:
        port = int((tmp_path / "instance" / "port").read_text())
        probes = [keeper._Probe(port, message, 1) for message in (keeper._PING, keeper._HELLO)]
        for _ in range(50):
            assert [probe.is_overdue() for probe in probes] == [False, False]
            time.sleep(0.05)
        for probe in probes:
            probe.close()
    finally:
        server.stop()


def test_a_stuck_engine_is_restarted_and_a_slow_operation_finishes_after_some_restarts(tmp_path):
    """An index build holds the engine's lock, as an endless loop in the engine would. Pings are still answered."""
    directory = tmp_path / "instance"
    embedded.start(directory).stop()
    with (tmp_path / "log").open("w") as log:
        kept = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT_KEEPER, str(directory), "authexample.users"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        kept.stdout.readline()
        uri = embedded.find(directory)
        assert uri is not None
        with MongoClient(uri) as client:
            users = client.authexample.users
            users.insert_many([{"email": f"{number}@example.com"} for number in range(10_000)])

            give_up = time.monotonic() + 120
            tries = 0
            while True:
                assert time.monotonic() < give_up
                tries += 1
                try:
                    users.create_index("email", unique=True)
                    break
                except PyMongoError:
                    time.sleep(0.2)
            assert users.count_documents({}) == 10_000
        assert tries > 1
        restarts = (tmp_path / "log").read_text().splitlines()
        assert restarts
        assert set(restarts) == {"the embedded database answers, but cannot read; starting it again"}
    finally:
        kept.stdin.close()
        assert kept.wait(30) == 0
        kept.stdout.close()


def test_a_busy_database_is_not_restarted(service, tmp_path):
    """Twenty-four clients scan and write without a pause, for three times the timeout of a ping."""
    directory = tmp_path / "instance"
    before = on_directory(directory)
    uri = embedded.find(directory)
    stopping = threading.Event()
    faults: list[Exception] = []

    def work(number: int) -> None:
        with MongoClient(uri) as client:
            scratch = client.authexample.get_collection("scratch", write_concern=WriteConcern(1))
            while not stopping.is_set():
                try:
                    scratch.insert_many([{"number": number, "text": "x" * 100} for _ in range(100)])
                    scratch.count_documents({"text": {"$regex": "y"}})
                except PyMongoError as error:
                    faults.append(error)
                    return

    with MongoClient(uri) as client:
        client.authexample.scratch.insert_one({})
    clients = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for client in clients:
        client.start()
    try:
        time.sleep(3 * keeper._PING_SECONDS)
    finally:
        stopping.set()
        for client in clients:
            client.join()
    assert faults == []
    assert on_directory(directory) == before
