"""The keeper, a program: it runs the embedded database, and starts it again when it dies.

    python -P keeper.py DIRECTORY DATABASE.COLLECTION...

It holds the directory's lock, prints the port once the server listens, keeps to that port, and ends the server when
its own standard input closes: so the server ends with its owner, however the owner ends.

It stands alone: importing the service would load Flask and the driver into it.
"""

import ctypes
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO

LOCK, PORT, PASSWORD = "lock", "port", "database-password"  # the files in the directory
USER = "authservice"
PATIENCE_SECONDS = 10.0  # after a kill -9 of the owner the last keeper may need this long to let go
_NOTICE_SECONDS = 2.0  # and this long to see it, and to take its port away; one that keeps it has an owner
_TICK_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def keep(directory: Path, namespaces: list[str]) -> int:
    """The keeper's whole life. Prints the port once the server listens."""
    os.umask(0o077)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    lock = _acquire(directory)
    if lock is None:
        return 1
    (directory / PORT).unlink(missing_ok=True)  # of a keeper that was killed
    _make_password(directory)
    server = _Server(directory, namespaces)
    if not server.start():
        return 1
    (directory / PORT).write_text(str(server.port))
    print(server.port, flush=True)
    try:
        while not stopping and not _is_closed(sys.stdin, _TICK_SECONDS):
            if server.has_died():
                print("the embedded database has died; starting it again", file=sys.stderr, flush=True)
                server.kill()
                server.start()
    finally:
        (directory / PORT).unlink()
        server.stop()
    return 0


def _acquire(directory: Path) -> IO[str] | None:
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    lock = os.fdopen(descriptor, "r+")  # held until the keeper ends
    started = time.monotonic()
    while True:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
            return lock
        except BlockingIOError:
            patience = _NOTICE_SECONDS if (directory / PORT).exists() else PATIENCE_SECONDS
            if time.monotonic() > started + patience or _is_closed(sys.stdin, 0.1):
                return None


def _make_password(directory: Path) -> None:
    """On first use. It needs no quoting in a URI."""
    path = directory / PASSWORD
    if path.exists() and re.fullmatch(rb"[0-9a-f]{64}", path.read_bytes()):
        return
    descriptor, temporary = tempfile.mkstemp(dir=directory)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    os.replace(temporary, path)


class _Server:
    """The server's process, which comes and goes; the port stays."""

    def __init__(self, directory: Path, namespaces: list[str]) -> None:
        self.port = 0  # any, at the first start
        self._directory = directory
        self._namespaces = namespaces
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> bool:
        """Whether it listens within PATIENCE_SECONDS."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up and not _is_closed(sys.stdin, 0):
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("server.py")), str(self.port),
                 str(self._directory / "database"), USER, str(self._directory / PASSWORD), *self._namespaces],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                env=_environment(),
                preexec_fn=_end_with_keeper,
            )  # fmt: skip
            assert self._process.stdout is not None
            select.select([self._process.stdout, sys.stdin], [], [], max(0, give_up - time.monotonic()))
            listens, _, _ = select.select([self._process.stdout], [], [], 0)
            port = self._process.stdout.readline() if listens else ""
            if port:
                self.port = int(port)
                return True
            self.kill()
            time.sleep(0.2)
        return False

    def has_died(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """kill -9: it writes at every commit."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._forget()

    def _forget(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()
        self._process = None


def _environment() -> dict[str, str]:
    """Without what would configure the server and its engine: one variable alone makes commits volatile."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SECANTUS_", "WIREDTIGER_"))}


def _end_with_keeper() -> None:
    """In the server's process, before it starts: Linux ends it when the keeper is killed, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _is_closed(stream: IO[str], wait_seconds: float) -> bool:
    readable, _, _ = select.select([stream], [], [], wait_seconds)
    return bool(readable) and not os.read(stream.fileno(), 1)


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2:]))
