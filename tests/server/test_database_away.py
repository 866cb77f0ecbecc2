"""Without its database the service runs, answers 503 in time, and recovers by itself."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from pymongo import MongoClient

from tests.conftest import PASSWORD, SECRET, bearer
from tests.database import GIVEN_URI, KILLS
from tests.server.processes import pass_guard, sign_up, wait_until
from tests.service import Service, free_port

UNAVAILABLE_SECONDS = 3.0  # 1.5 s, two of the steps of 0.5 s in which the driver looks for a server, and some room


class Database:
    """A MongoDB-wire server on a fixed port, so that a test can start, stop and restart it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/authexample?directConnection=true&retryWrites=false"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(self.port),
             "--storage-path", str(self.directory), "--sync-on-commit", "--log-level", "WARNING"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def unstarted(tmp_path: Path) -> Iterator[Database]:
    """A database that is not started yet."""
    if GIVEN_URI:
        pytest.skip(KILLS)
    database = Database(tmp_path / "database")
    yield database
    database.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """The URI of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield f"mongodb://127.0.0.1:{listener.getsockname()[1]}/authexample?directConnection=true"


def ask_for_everything(service: Service, token: str) -> list[requests.Response]:
    """Every request that needs the database, four at a time. None may take longer than UNAVAILABLE_SECONDS."""
    body = {"email": "nobody@example.com", "password": PASSWORD}

    def ask(method: str, path: str, **options: Any) -> requests.Response:
        answer = requests.request(method, service.url + path, timeout=30, **options)
        assert answer.elapsed.total_seconds() < UNAVAILABLE_SECONDS, path
        return answer

    with ThreadPoolExecutor(4) as clients:
        asked = [
            clients.submit(ask, "GET", "/readyz"),
            clients.submit(ask, "POST", "/users", json=body),
            clients.submit(ask, "POST", "/auth", json=body),
            clients.submit(ask, "GET", "/users/test", headers=bearer(token)),
            clients.submit(ask, "GET", "/users/me", headers=bearer(token)),
        ]
        return [answer.result() for answer in asked]


def assert_all_answer_503(service: Service, token: str) -> None:
    for answer in ask_for_everything(service, token):
        assert answer.status_code == 503, answer.url
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "database_unavailable"
        assert answer.headers["Retry-After"] == "2"
    lives = requests.get(f"{service.url}/healthz", timeout=5)
    assert (lives.status_code, lives.json()) == (200, {"status": "ok"})


def wait_until_recovered(service: Service) -> None:
    wait_until(lambda: requests.get(f"{service.url}/readyz", timeout=5).status_code == 200, 30)


def token_of_unknown_user() -> str:
    """A valid token of a user who does not exist."""
    now = int(time.time())
    whose = {"sub": "5c0dc18d349bc9479600c171", "sid": "0" * 32}
    claims = {**whose, "type": "access", "jti": "x", "iat": now, "exp": now + 600}
    return jwt.encode(claims, SECRET, "HS256")


def test_a_service_without_its_database_recovers_when_the_database_starts_or_returns(serve, unstarted):
    service = serve(FLASK_MONGO_URI=unstarted.uri)
    assert_all_answer_503(service, token_of_unknown_user())
    assert "the database does not answer yet; the service answers 503 until it does" in service.output()

    unstarted.start()
    wait_until_recovered(service)
    token = sign_up(service, "alice@example.com")
    assert pass_guard(service, token).status_code == 200
    assert pass_guard(service, token_of_unknown_user()).status_code == 401
    with MongoClient(unstarted.uri) as client:
        unique = {index["name"] for index in client.authexample.users.list_indexes() if index.get("unique")}
        assert unique == {"email_1", "email_any_case"}

    unstarted.stop()
    assert_all_answer_503(service, token)

    unstarted.start()
    wait_until_recovered(service)
    assert pass_guard(service, token).status_code == 200
    again = requests.post(f"{service.url}/users", json={"email": "alice@example.com", "password": PASSWORD}, timeout=15)
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")
    assert "Traceback" not in service.output()


def test_a_database_that_accepts_and_never_answers_is_unavailable(serve, silent):
    service = serve(FLASK_MONGO_URI=silent)
    assert_all_answer_503(service, token_of_unknown_user())
