"""The embedded database, a program that the keeper runs: SecantusDB with one user and a password.

    python -P server.py PORT STORAGE USER PASSWORD_FILE DATABASE.COLLECTION...

It creates its user and its collections before it listens. So it is never open to others, and no two clients create a
collection at the same time, which can hang SecantusDB 0.7.0b3 permanently. It prints its port when it listens; port 0
takes any free one.

SecantusDB's own command would read secantusd.toml in the working directory, the home directory and /etc.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from secantus import SecantusDBServer
from secantus.auth import derive_credentials

_ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase")


def serve(port: int, storage: str, user: str, password: str, namespaces: list[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    server = SecantusDBServer(
        host="127.0.0.1",
        port=port,
        storage_path=storage,
        require_auth=True,
        enable_test_commands=False,
        sync_on_commit=True,
        cache_size="256M",
    )
    _allow_only(user, password, server.storage)
    for namespace in namespaces:
        database, _, collection = namespace.partition(".")
        server.storage.create_collection(database, collection)
    server.storage.release_thread_snapshot()  # this thread reads no more, and its snapshot would keep old versions
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopping.set())
    try:
        server.start()
    except OSError as error:
        sys.exit(f"the embedded database cannot listen on port {port}: {error.strerror}")
    print(server.port, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads the pipe any more
    stopping.wait()
    # stop() alone waits two seconds for the accepting thread, because close() does not wake it.
    with contextlib.suppress(OSError):
        server._socket.shutdown(socket.SHUT_RDWR)
    server.stop()


def _allow_only(user: str, password: str, storage: Any) -> None:
    """Make ``user`` the only user. An earlier version had none, and anybody who could connect could create some."""
    while found := storage.list_users(limit=1000):
        for other in found:
            storage.drop_user(other["db"], other["user"])
    storage.add_user(
        "admin",
        user,
        {
            "_id": f"admin.{user}",
            "user": user,
            "db": "admin",
            "credentials": derive_credentials(password, username=user).to_doc(),
            "roles": [{"role": role, "db": "admin"} for role in _ROLES],
            "mechanisms": ["SCRAM-SHA-256"],
        },
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]).read_text(), sys.argv[5:])
