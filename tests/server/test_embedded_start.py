"""Without FLASK_MONGO_URI the service runs an embedded database that starts and stops with the master."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import PASSWORD
from tests.database import needs_embedded
from tests.factors.enrolling import code_of
from tests.server.processes import is_alive, on_directory, pass_guard, run, sign_up, wait_until
from tests.service import Service

pytestmark = needs_embedded

FOR_DEVELOPMENT = "It is for development; production sets FLASK_MONGO_URI to a MongoDB."
HIDE_SECANTUS = """
import importlib.machinery, sys

class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "secantus" else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Without
"""


def newcomer(directory: Path, log: Path) -> Service:
    """A service that starts as in the README, with its own folder and cheap hashes."""
    environment = {
        "FLASK_INSTANCE_PATH": str(directory),
        "FLASK_BCRYPT_LOG_ROUNDS": "4",
        "FLASK_MONGO_TIMEOUT_MS": "10000",  # a slow machine must not look like a failing database
        "WEB_CONCURRENCY": "2",
    }
    return Service(log, environment)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """One service for all tests that do not break it. Each test has its own accounts."""
    home = tmp_path_factory.mktemp("newcomer")
    service = newcomer(home / "instance", home / "log")
    try:
        service.wait_until_ready()
        yield service, home / "instance"
    finally:
        service.stop()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Service]]:
    """The services of a test. Those that it appends here are stopped when it ends."""
    services: list[Service] = []
    yield services
    for service in services:
        service.stop()


def test_it_serves_and_logs_that_this_is_for_development(shared):
    service, directory = shared
    passed = pass_guard(service, sign_up(service, "walk@example.com"))
    assert (passed.status_code, passed.json()) == (200, {"message": "You did it!"})
    assert service.output().count(FOR_DEVELOPMENT) == 1
    assert str(directory) in service.output()


def test_a_newcomer_can_turn_two_steps_on(shared):
    """Each worker has the same key."""
    service, _ = shared
    headers = {"Authorization": f"Bearer {sign_up(service, 'two@example.com')}"}
    for _ in range(4):
        set_up = requests.post(f"{service.url}/users/me/totp", headers=headers, timeout=10)
        assert set_up.status_code == 200, set_up.text
    body = {"code": code_of(set_up.json()["secret"])}
    confirmed = requests.put(f"{service.url}/users/me/totp", json=body, headers=headers, timeout=10)
    assert confirmed.status_code == 200, confirmed.text


def test_only_the_owner_can_read_the_secrets(shared):
    _, directory = shared
    for name in ("jwt-secret", "encryption-key"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


def test_neither_log_nor_process_list_shows_the_database_password(shared):
    service, directory = shared
    sign_up(service, "quiet@example.com")
    password = (directory / "database-password").read_text()
    assert len(password) == 64
    assert password not in service.output()
    wait_until(lambda: len(service.workers()) == 2)
    pids = [service.process.pid, *service.workers(), *on_directory(directory)]
    shown = subprocess.run(
        ["ps", "-ww", "-E" if sys.platform == "darwin" else "e", "-o", "args=", "-p", ",".join(map(str, pids))],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(directory) in shown
    assert "FLASK_BCRYPT_LOG_ROUNDS=4" in shown  # so the environment is listed too
    assert password not in shown


def test_a_killed_database_restarts_on_its_port_with_all_acknowledged_writes(shared):
    service, directory = shared
    run = uuid.uuid4().hex  # a second try has accounts of its own
    token = sign_up(service, f"{run}@example.com")
    port = (directory / "port").read_text()
    keeper, database = on_directory(directory)
    bodies = [{"email": f"{run}-{number}@example.com", "password": PASSWORD} for number in range(20)]
    for body in bodies:
        assert requests.post(f"{service.url}/users", json=body, timeout=15).status_code == 201
    os.kill(database, signal.SIGKILL)

    wait_until(lambda: len(on_directory(directory)) == 2 and on_directory(directory)[1] != database, 60)
    wait_until(lambda: requests.get(f"{service.url}/readyz", timeout=30).status_code == 200, 60)
    assert on_directory(directory)[0] == keeper
    assert (directory / "port").read_text() == port
    assert pass_guard(service, token).status_code == 200
    for body in bodies:
        assert requests.post(f"{service.url}/auth", json=body, timeout=15).status_code == 200


def test_a_hup_replaces_the_workers_and_keeps_the_database(shared):
    service, directory = shared
    token = sign_up(service, "reloaded@example.com")
    wait_until(lambda: len(service.workers()) == 2)
    before, workers = on_directory(directory), service.workers()
    service.signal(signal.SIGHUP)
    wait_until(lambda: len(service.workers()) == 2 and not set(workers) & set(service.workers()))
    assert pass_guard(service, token).status_code == 200
    assert on_directory(directory) == before


def test_a_second_service_on_the_directory_says_so_and_exits(shared, tmp_path):
    service, directory = shared
    second = newcomer(directory, tmp_path / "second.log")
    try:
        assert second.process.wait(30) == 1
    finally:
        second.stop()
    assert f"the embedded database did not start in {directory}; another process may be using it." in second.output()
    assert "Traceback" not in second.output()
    assert requests.get(f"{service.url}/readyz", timeout=5).status_code == 200


def test_flask_commands_find_the_running_database(shared):
    service, directory = shared
    sign_up(service, "listed@example.com")
    before = on_directory(directory)
    shown = run("flask", "--app", "wsgi", "users", "show", "listed@example.com", FLASK_INSTANCE_PATH=str(directory))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "  listed@example.com  enabled  " in shown.stdout
    assert on_directory(directory) == before


def test_flask_commands_start_and_stop_a_database_if_none_runs(tmp_path):
    directory = tmp_path / "instance"
    environment = {"FLASK_INSTANCE_PATH": str(directory), "FLASK_BCRYPT_LOG_ROUNDS": "4"}
    command = ("flask", "--app", "wsgi", "users")
    created = run(*command, "create", "early@example.com", "--password-stdin", stdin=PASSWORD, **environment)
    assert created.returncode == 0
    assert on_directory(directory) == []
    listed = run(*command, "list", **environment)
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, created.stdout, "")
    assert on_directory(directory) == []


def test_accounts_and_tokens_survive_a_restart(tmp_path, started):
    directory = tmp_path / "instance"
    first = newcomer(directory, tmp_path / "first.log")
    started.append(first)
    first.wait_until_ready()
    token = sign_up(first, "back@example.com")
    secret = (directory / "jwt-secret").read_text()
    wait_until(lambda: len(first.workers()) == 2)
    processes = [first.process.pid, *first.workers(), *on_directory(directory)]
    assert len(processes) == 5

    first.signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    assert [pid for pid in processes if is_alive(pid)] == []

    second = newcomer(directory, tmp_path / "second.log")
    started.append(second)
    second.wait_until_ready()
    assert (directory / "jwt-secret").read_text() == secret
    assert pass_guard(second, token).status_code == 200
    body = {"email": "back@example.com", "password": PASSWORD}
    assert requests.post(f"{second.url}/auth", json=body, timeout=15).status_code == 200


def test_no_process_survives_a_killed_master_and_a_new_service_starts(tmp_path, started):
    directory = tmp_path / "instance"
    first = newcomer(directory, tmp_path / "first.log")
    started.append(first)
    first.wait_until_ready()
    token = sign_up(first, "orphan@example.com")
    first.signal(signal.SIGHUP)  # new workers must not keep a copy of the pipe either
    workers = first.workers()
    wait_until(lambda: len(first.workers()) == 2 and not set(workers) & set(first.workers()))
    processes = [first.process.pid, *first.workers(), *on_directory(directory)]
    first.process.kill()
    assert first.process.wait(5) == -signal.SIGKILL

    second = newcomer(directory, tmp_path / "second.log")  # immediately: it waits until the previous one has stopped
    started.append(second)
    second.wait_until_ready()
    assert pass_guard(second, token).status_code == 200
    # A worker that has just started may wait 20 s to build indexes in a database that is gone.
    wait_until(lambda: not [pid for pid in processes if is_alive(pid)], 30)


def test_the_database_ends_with_a_killed_keeper_and_a_new_service_starts(tmp_path, started):
    directory = tmp_path / "instance"
    first = newcomer(directory, tmp_path / "first.log")
    started.append(first)
    first.wait_until_ready()
    token = sign_up(first, "kept@example.com")
    keeper, database = on_directory(directory)
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not is_alive(database))
    assert first.stop() == 0

    second = newcomer(directory, tmp_path / "second.log")
    started.append(second)
    second.wait_until_ready()
    assert pass_guard(second, token).status_code == 200


@pytest.mark.parametrize("command", [("gunicorn", "wsgi:app"), ("flask", "--app", "wsgi", "users", "list")])
def test_without_the_extra_the_error_says_what_to_install_or_set(tmp_path, command):
    (tmp_path / "sitecustomize.py").write_text(HIDE_SECANTUS)
    ended = run(*command, PORT="0", PYTHONPATH=str(tmp_path), FLASK_INSTANCE_PATH=str(tmp_path / "instance"))
    assert ended.returncode != 0
    assert "Set FLASK_MONGO_URI to a MongoDB" in ended.stderr
    assert "pip install -e '.[embedded]'" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / "instance").exists()


def test_production_refuses_the_embedded_database(tmp_path):
    ended = run(
        "gunicorn", "wsgi:app", PORT="0", FLASK_ENV="production", FLASK_INSTANCE_PATH=str(tmp_path / "instance")
    )
    assert ended.returncode == 1
    assert "FLASK_MONGO_URI is required with FLASK_ENV=production" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / "instance").exists()
