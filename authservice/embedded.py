"""The database server for newcomers: SecantusDB as a child process, for development and tests.

``start`` launches a keeper, this file run as a program. The keeper holds the directory's lock, runs the
database server, starts it again on the same port when it dies, and ends it when its own standard input closes:
so the server ends with its owner, however the owner ends.
"""

import atexit
import ctypes
import fcntl
import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE_SECONDS = 10.0  # after a kill -9 of the owner the last keeper may need this long to let go
NOTICE_SECONDS = 2.0  # and this long to see it, and to take its port away; one that keeps it has an owner
DATABASE = "authexample"  # the tutorial's name
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class EmbeddedUnavailable(Exception):
    """The embedded database cannot be started; the message says what to install or to set."""


@dataclass(frozen=True)
class Server:
    """A running server that this process owns."""

    keeper: subprocess.Popen[str]
    uri: str

    def stop(self) -> None:
        """End the server; idempotent."""
        if self.keeper.stdin and not self.keeper.stdin.closed:
            self.keeper.stdin.close()
        self.keeper.wait()
        if self.keeper.stdout:
            self.keeper.stdout.close()


_owned: Server | None = None


def start(directory: Path) -> Server:
    """Start a server on ``directory``, which this process then owns.

    Raises EmbeddedUnavailable when the extra is missing or another process holds the directory.
    """
    if importlib.util.find_spec("secantus") is None:
        raise EmbeddedUnavailable(
            "FLASK_MONGO_URI is not set and the embedded database is not installed. Set FLASK_MONGO_URI to a MongoDB, "
            "such as mongodb://127.0.0.1:27017/authexample, or install it: pip install -e '.[embedded]'"
        )
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C in the terminal goes to the owner alone, which ends the server last
    )
    assert keeper.stdout is not None
    port = keeper.stdout.readline().strip()
    if not port:
        keeper.wait()
        raise EmbeddedUnavailable(
            f"the embedded database did not start in {directory}; another process may be using it. "
            "Stop that one, set FLASK_INSTANCE_PATH to another directory, or FLASK_MONGO_URI to a MongoDB."
        )
    return Server(keeper, _uri(int(port)))


def find(directory: Path) -> str | None:
    """The URI of the server that another process runs on ``directory``; None when there is none."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while _is_held(directory):
        try:
            return _uri(int((directory / "port").read_text()))
        except (FileNotFoundError, ValueError):  # it is just starting
            if time.monotonic() > give_up:
                break
            time.sleep(0.05)
    return None


def own(directory: Path) -> str:
    """Start the server that this process owns until ``disown``. Raises EmbeddedUnavailable.

    It is remembered here: a SIGHUP runs gunicorn.conf.py again, and what that file remembers is lost.
    """
    global _owned
    _owned = start(directory)
    return _owned.uri


def disown() -> None:
    """End the server, where this process owns one."""
    global _owned
    if _owned is not None:
        _owned.stop()
        _owned = None


def let_go() -> None:
    """In a forked child: close its copy of the pipe, so that the server ends with the owner and not with the child."""
    global _owned
    if _owned is not None and _owned.keeper.stdin:
        _owned.keeper.stdin.close()
        _owned = None


def find_or_start(directory: Path) -> str:
    """The URI of the server on ``directory``: the one that runs, or one that ends with this process.

    Raises EmbeddedUnavailable.
    """
    uri = find(directory)
    if uri is None:
        uri = own(directory)
        atexit.register(disown)
    return uri


def _uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/{DATABASE}?directConnection=true&retryWrites=false"


def _is_held(directory: Path) -> bool:
    try:
        with open(directory / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def _keep(directory: Path) -> int:
    """The keeper's whole life. Prints the port once the server answers."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    lock = _acquire(directory)
    if lock is None:
        return 1
    (directory / "port").unlink(missing_ok=True)  # of a keeper that was killed
    port = free_port()
    server = _launch(directory, port)
    if server is None:
        return 1
    (directory / "port").write_text(str(port))
    print(port, flush=True)
    try:
        while not stopping and not _is_closed(sys.stdin, 0.2):
            if server is None or server.poll() is not None:
                print("the embedded database has died; starting it again", file=sys.stderr, flush=True)
                server = _launch(directory, port)
    finally:
        (directory / "port").unlink()
        if server is not None:
            server.terminate()
            try:
                server.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
    return 0


def _acquire(directory: Path) -> IO[str] | None:
    lock = open(directory / "lock", "w")  # noqa: SIM115 - held until the keeper ends
    started = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            patience = NOTICE_SECONDS if (directory / "port").exists() else PATIENCE_SECONDS
            if time.monotonic() > started + patience or _is_closed(sys.stdin, 0.1):
                return None


def _launch(directory: Path, port: int) -> "subprocess.Popen[bytes] | None":
    """A server that accepts connections; None when none could be had in PATIENCE_SECONDS."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        server = subprocess.Popen(
            [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port), "--storage-path",
             str(directory / "database"), "--sync-on-commit", "--log-level", "WARNING", "--cache-size", "256M"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=_end_with_keeper,
        )  # fmt: skip
        while server.poll() is None and time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return server
            except OSError:
                time.sleep(0.02)
        server.kill()
        server.wait()
        time.sleep(0.2)
    return None


def _end_with_keeper() -> None:
    """In the server's process, before it starts: Linux ends it when the keeper is killed, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_closed(stream: IO[str], wait_seconds: float) -> bool:
    readable, _, _ = select.select([stream], [], [], wait_seconds)
    return bool(readable) and not os.read(stream.fileno(), 1)


if __name__ == "__main__":
    sys.exit(_keep(Path(sys.argv[1])))
