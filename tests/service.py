"""A real gunicorn for tests, on a free port, stopped by its own pid."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

ROOT = Path(__file__).parent.parent
START_SECONDS = 30


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """``gunicorn wsgi:app`` as in the README. An empty string in ``environment`` removes the variable.

    The limits are off, because tests sign in more often than a person. FLASK_LIMITS="" makes them as shipped.
    ``command`` replaces the arguments of ``python``.
    """

    def __init__(
        self,
        log: Path,
        environment: dict[str, str],
        app: str = "wsgi:app",
        command: tuple[str, ...] | None = None,
        cwd: Path = ROOT,
        python: str | Path = sys.executable,
        port: int | None = None,
    ) -> None:
        self.log = log
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        whole = {
            **os.environ,
            "FLASK_LIMITS": "off",
            **environment,
            "PORT": str(self.port),
            "FLASK_RUN_PORT": str(self.port),
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [python, *(command or ("-m", "gunicorn", app))],
                cwd=cwd,
                env={name: value for name, value in whole.items() if value},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def wait_until_ready(self, path: str = "/healthz") -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            assert self.process.poll() is None, self.output()
            try:
                if requests.get(self.url + path, timeout=5).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready in {START_SECONDS} s:\n{self.output()}")

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def workers(self) -> list[int]:
        """The pids of the gunicorn workers."""
        children = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout.splitlines()
        return [int(line.split()[0]) for line in children if "gunicorn" in line]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop it gracefully, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()
