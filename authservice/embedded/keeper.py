"""The keeper, a program: it supervises the embedded database and restarts it when it dies or hangs.

    python -P keeper.py DIRECTORY DATABASE.COLLECTION...

It holds the directory's lock, prints the port when the server listens, and keeps that port after a restart. It stops
the server when its own standard input closes, so the server ends with its owner, also after a kill -9 of the owner.

It imports nothing of the service: that would load Flask and the driver.
"""

import ctypes
import os
import re
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO

LOCK, PORT, PASSWORD = "lock", "port", "database-password"  # the files in the directory
USER = "authservice"
TIMEOUT_SECONDS = 10.0  # after a kill -9 of its owner, the previous keeper may need this long to stop
_NOTICE_SECONDS = 2.0  # and this long to notice and remove its port file; while the file exists, it has an owner
_TICK_SECONDS = 0.2
_PAUSE_TICKS = 5  # between an answer of the server and the next probe
# docs/decisions/0005-embedded-probes.md has the figures.
_PING_SECONDS = 5.0
_ENGINE_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OP_MSG = 2013


def keep(directory: Path, namespaces: list[str]) -> int:
    """Supervise the server until the owner ends. Prints the port when the server listens."""
    os.umask(0o077)  # the server inherits it
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    lock = _acquire(directory)
    if lock is None:
        return 1
    (directory / PORT).unlink(missing_ok=True)  # left by a keeper that was killed
    _make_password(directory)
    server = _Server(directory, namespaces)
    if not server.start():
        return 1
    (directory / PORT).write_text(str(server.port))
    print(server.port, flush=True)
    try:
        while not stopping and not _is_closed(sys.stdin, _TICK_SECONDS):
            failure = server.failure()
            if failure:
                print(f"the embedded database {failure}; starting it again", file=sys.stderr, flush=True)
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
            timeout = _NOTICE_SECONDS if (directory / PORT).exists() else TIMEOUT_SECONDS
            if time.monotonic() > started + timeout or _is_closed(sys.stdin, 0.1):
                return None


def _make_password(directory: Path) -> None:
    """Create the password on first use, from characters that need no quoting in a URI."""
    path = directory / PASSWORD
    if path.exists() and re.fullmatch(rb"[0-9a-f]{64}", path.read_bytes()):
        return
    descriptor, temporary = tempfile.mkstemp(dir=directory)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    os.replace(temporary, path)


class _Server:
    """The server's process. A restart replaces the process and keeps the port."""

    def __init__(self, directory: Path, namespaces: list[str]) -> None:
        self.port = 0  # any free port, at the first start
        self._directory = directory
        self._namespaces = namespaces
        self._process: subprocess.Popen[str] | None = None
        self._engine_seconds = _ENGINE_SECONDS
        self._probes: tuple[_Probe, ...] = ()

    def start(self) -> bool:
        """Start the process. Whether it listens within TIMEOUT_SECONDS."""
        give_up = time.monotonic() + TIMEOUT_SECONDS
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
                ping = _Probe(self.port, _PING, _PING_SECONDS)
                self._probes = (ping, _Probe(self.port, _HELLO, self._engine_seconds))
                return True
            self.kill()
            time.sleep(0.2)
        return False

    def failure(self) -> str:
        """What is wrong; "" while the server runs and answers. Called at every tick."""
        if self._process is None or self._process.poll() is not None:
            return "has died"
        ping, engine = self._probes
        if ping.is_overdue():
            return "does not answer"
        if engine.is_overdue():
            self._engine_seconds *= 2  # a slow operation can then finish after some restarts
            return "answers, but cannot read"
        return ""

    def kill(self) -> None:
        """kill -9: the server syncs at every commit, and a hung one ignores other signals."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._forget()

    def _forget(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()
        self._process = None
        for probe in self._probes:
            probe.close()


class _Probe:
    """A command that is sent to the server repeatedly, and is overdue if the answer takes too long.

    Time is counted in ticks of the keeper, so the server is not killed after the machine slept, or was so busy that the
    keeper itself did not run.
    """

    def __init__(self, port: int, message: bytes, timeout_seconds: float) -> None:
        self._port = port
        self._message = message
        self._timeout_ticks = timeout_seconds / _TICK_SECONDS
        self._unanswered_ticks = 0
        self._pause_ticks = 0
        self._socket: socket.socket | None = None

    def is_overdue(self) -> bool:
        """Called at every tick. Any answer counts, also the end of the connection."""
        if self._pause_ticks:
            self._pause_ticks -= 1
            return False
        self._unanswered_ticks += 1
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), _TICK_SECONDS)
                self._socket.sendall(self._message)
            elif select.select([self._socket], [], [], 0)[0]:
                self.close()
                self._unanswered_ticks = 0
                self._pause_ticks = _PAUSE_TICKS
        except OSError:
            self.close()
        return self._unanswered_ticks > self._timeout_ticks

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _message(name: str, *more: tuple[str, str]) -> bytes:
    """A command for the database ``admin`` in MongoDB's wire format (OP_MSG, BSON), without a driver."""
    texts = [*more, ("$db", "admin")]
    fields = b"\x10" + name.encode() + b"\0" + struct.pack("<i", 1)
    for key, value in texts:
        fields += b"\x02" + key.encode() + b"\0" + struct.pack("<i", len(value) + 1) + value.encode() + b"\0"
    body = struct.pack("<IBi", 0, 0, len(fields) + 5) + fields + b"\0"
    return struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body


# Both need no authentication. The second one needs an answer from the storage engine.
_PING = _message("ping")
_HELLO = _message("hello", ("saslSupportedMechs", f"admin.{USER}"))


def _environment() -> dict[str, str]:
    """Without the variables that configure the server and its engine: one of them makes commits volatile."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SECANTUS_", "WIREDTIGER_"))}


def _end_with_keeper() -> None:
    """In the server's process, before it starts: make Linux end it when the keeper ends, also after a kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _is_closed(stream: IO[str], wait_seconds: float) -> bool:
    readable, _, _ = select.select([stream], [], [], wait_seconds)
    return bool(readable) and not os.read(stream.fileno(), 1)


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2:]))
