"""Start, find and stop the embedded database."""

import atexit
import fcntl
import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from authservice.embedded import folder, keeper
from authservice.embedded.folder import EmbeddedUnavailable

DATABASE = "authexample"  # the tutorial's name
COLLECTIONS = ("users",)
BESIDE_USERS = ("limits", "mailRequests", "used_proofs")


@dataclass(frozen=True)
class Server:
    """A running server that this process owns. The URI contains its password."""

    keeper: subprocess.Popen[str]
    uri: str = field(repr=False)

    def stop(self) -> None:
        """Stop the server. Idempotent."""
        if self.keeper.stdin and not self.keeper.stdin.closed:
            self.keeper.stdin.close()
        self.keeper.wait()
        if self.keeper.stdout:
            self.keeper.stdout.close()


_owned: Server | None = None


def start(directory: Path, collections: Sequence[str] = COLLECTIONS) -> Server:
    """Start a server on ``directory`` that this process owns.

    ``collections`` and BESIDE_USERS exist before it accepts connections.

    Raises EmbeddedUnavailable if the extra is missing, another process uses the directory or other users have access
    to it.
    """
    if importlib.util.find_spec("secantus") is None:
        raise EmbeddedUnavailable(
            "FLASK_MONGO_URI is not set and the embedded database is not installed. Set FLASK_MONGO_URI to a MongoDB, "
            "such as mongodb://127.0.0.1:27017/authexample, or install it: pip install 'authservice[embedded]', "
            "in the repository: pip install -e '.[embedded]'"
        )
    folder.secure(directory)
    namespaces = [f"{DATABASE}.{name}" for name in (*collections, *BESIDE_USERS)]
    process = subprocess.Popen(
        [sys.executable, "-P", keeper.__file__, str(directory), *namespaces],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal reaches the owner only, which stops the server last
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    if not port:
        process.wait()
        raise EmbeddedUnavailable(
            f"the embedded database did not start in {directory}; another process may be using it. "
            "Stop that one, set FLASK_INSTANCE_PATH to another directory, or FLASK_MONGO_URI to a MongoDB."
        )
    return Server(process, _uri(directory, int(port)))


def find(directory: Path) -> str | None:
    """The URI of the server that another process runs on ``directory``; None if there is none.

    Raises EmbeddedUnavailable if other users have access to the directory.
    """
    if directory.exists():
        folder.secure(directory)
    give_up = time.monotonic() + keeper.TIMEOUT_SECONDS
    while _is_locked(directory):
        try:
            return _uri(directory, int((directory / keeper.PORT).read_text()))
        except (FileNotFoundError, ValueError):  # it is starting
            if time.monotonic() > give_up:
                break
            time.sleep(0.05)
    return None


def own(directory: Path, collections: Sequence[str] = COLLECTIONS) -> str:
    """Start a server that this process owns until ``disown``, and return its URI. Raises EmbeddedUnavailable.

    The state is kept in this module because a SIGHUP runs gunicorn_conf.py again, which loses its variables.
    """
    global _owned
    _owned = start(directory, collections)
    return _owned.uri


def disown() -> None:
    """Stop the server, if this process owns one."""
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


def find_or_start(directory: Path, collections: Sequence[str] = COLLECTIONS) -> str:
    """The URI of the server on ``directory``: the running one, or a new one that ends with this process.

    Raises EmbeddedUnavailable.
    """
    uri = find(directory)
    if uri is None:
        uri = own(directory, collections)
        atexit.register(disown)
    return uri


def _uri(directory: Path, port: int) -> str:
    password = (directory / keeper.PASSWORD).read_text()
    return (
        f"mongodb://{keeper.USER}:{password}@127.0.0.1:{port}/{DATABASE}"
        "?authSource=admin&directConnection=true&retryWrites=false"
    )


def _is_locked(directory: Path) -> bool:
    try:
        with open(directory / keeper.LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
