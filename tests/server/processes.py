"""Helpers for tests of a real service: processes, commands, sign-up."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from tests.conftest import PASSWORD, bearer
from tests.service import ROOT, Service

WITHOUT_STDIN = ("sh", "-c", 'exec "$@" <&-', "sh")  # for ``run``


def on_directory(directory: Path) -> list[int]:
    """The pids of the embedded database on ``directory``: the keeper, then the server."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    processes = [line.split(None, 2) for line in listed.splitlines()]
    ours = [(int(pid), args) for pid, stat, args in processes if stat[0] != "Z" and f"{directory}" in args]
    return [pid for part in ("embedded/keeper.py", "embedded/server.py") for pid, args in ours if part in args]


def is_alive(pid: int) -> bool:
    """Whether it runs. A zombie does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and listed.strip()[0] != "Z"


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Return when ``condition`` is true; fail after ``seconds``."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"not within {seconds} s"
        time.sleep(0.05)


def run(
    *command: str, stdin: str = "", seconds: float = 60, through: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ...`` in the repository, with ``environment`` added to that of the tests.

    ``through`` is a program that starts it, with its arguments.
    """
    return subprocess.run(
        [*through, sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def sign_up(service: Service, email: str, prefix: str = "") -> str:
    """Create an account over HTTP, sign in, and return the access token."""
    body = {"email": email, "password": PASSWORD}
    created = requests.post(f"{service.url}{prefix}/users", json=body, timeout=30)
    assert created.status_code == 201, created.text
    signed_in = requests.post(f"{service.url}{prefix}/auth", json=body, timeout=30)
    assert signed_in.status_code == 200, signed_in.text
    token: str = signed_in.json()["token"]
    return token


def pass_guard(service: Service, token: str) -> requests.Response:
    return requests.get(f"{service.url}/users/test", headers=bearer(token), timeout=30)
