"""examples/todo is served by any server, and its to-dos belong to their owners."""

import sqlite3
from pathlib import Path

import pytest
import requests

from tests.conftest import ALICE, BOB, PASSWORD, bearer
from tests.server.processes import sign_up
from tests.service import ROOT

EXAMPLE = ROOT / "examples" / "todo"
SERVERS = {
    "flask": ("-m", "flask", "--app", "app", "run"),
    "flask, a thread at a time": ("-m", "flask", "--app", "app", "run", "--without-threads"),
    "gthread": ("-m", "gunicorn", "-k", "gthread", "--threads", "4", "-w", "2", "app:create_app()"),
    "gevent": ("-m", "gunicorn", "-k", "gevent", "-w", "2", "app:create_app()"),
    "sync": ("-m", "gunicorn", "app:create_app()"),
}


@pytest.fixture
def example(tmp_path):
    """A copy, which keeps its to-dos beside itself."""
    folder = tmp_path / "todo"
    folder.mkdir()
    (folder / "app.py").write_text((EXAMPLE / "app.py").read_text())
    return folder


def call(service, method, path, token=None, **options):
    headers = bearer(token) if token else {}
    return requests.request(method, service.url + path, headers=headers, timeout=15, **options)


@pytest.mark.parametrize("server", SERVERS)
def test_it_is_served(serve, example, server):
    service = serve(ready="/identity/healthz", command=SERVERS[server], cwd=example)
    alice, bob = (sign_up(service, email, "/identity") for email in (ALICE, BOB))
    refused = call(service, "GET", "/todos")
    assert (refused.status_code, refused.json()["code"]) == (401, "token_missing")
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="authservice"'
    added = call(service, "POST", "/todos", alice, json={"title": "Buy milk"})
    assert added.status_code == 201
    todo = added.json()
    assert call(service, "GET", "/todos", alice).json() == {"todos": [todo]}
    assert call(service, "GET", "/todos", bob).json() == {"todos": []}
    assert call(service, "DELETE", f"/todos/{todo['id']}", bob).status_code == 404
    assert call(service, "POST", "/todos", bob, json={"title": " "}).status_code == 422
    assert stored(example) == ["Buy milk"]
    deleted = call(service, "DELETE", "/identity/users/me", alice, json={"currentPassword": PASSWORD})
    assert deleted.status_code == 204
    assert stored(example) == []
    assert call(service, "GET", "/todos", alice).status_code == 401


ODD_BODIES = [
    "[]",
    "null",
    "7",
    '"x"',
    "{}",
    '{"title": 7}',
    '{"title": ""}',
    '{"title": "\\ud800"}',
    '{"title": "\\u0000"}',
]


def test_nobody_makes_it_crash(serve, example):
    service = serve(ready="/identity/healthz", command=SERVERS["flask"], cwd=example)
    alice = sign_up(service, ALICE, "/identity")
    headers = {**bearer(alice), "Content-Type": "application/json"}
    for body in [*ODD_BODIES, f'{{"title": "{"x" * 1_000}"}}']:
        assert requests.post(f"{service.url}/todos", body, headers=headers, timeout=15).status_code == 422, body
    for number in ("0", "9" * 30, "-1", "x", "%ff"):
        assert call(service, "DELETE", f"/todos/{number}", alice).status_code == 404, number
    assert stored(example) == []


def stored(example: Path) -> list[str]:
    with sqlite3.connect(example / "instance" / "todos.sqlite") as database:
        return [title for (title,) in database.execute("SELECT title FROM todos")]


def test_it_is_short():
    assert len((EXAMPLE / "app.py").read_text().splitlines()) < 80
