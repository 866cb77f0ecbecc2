"""A MongoDB-wire server that tests kill, freeze and restart."""

import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from authservice.embedded import keeper
from tests.service import free_port

START_SECONDS = 30
SERVER = Path(keeper.__file__).with_name("server.py")


class Database:
    """The server as the keeper starts it, always on the same port and directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._password = secrets.token_hex(32)
        self._password_file = directory.with_suffix(".password")
        self._password_file.write_text(self._password)
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self, port: int | None = None) -> str:
        """The URI, with the driver's retries on as in production. ``port`` is the port of a proxy in front."""
        address = f"{keeper.USER}:{self._password}@127.0.0.1:{port or self.port}"
        return f"mongodb://{address}/authexample?authSource=admin&directConnection=true"

    def start(self) -> None:
        """Start it and return when it answers."""
        give_up = time.monotonic() + START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:  # the port may still be busy for a moment
                self._process = subprocess.Popen(
                    [sys.executable, "-P", SERVER, str(self.port), self._directory, keeper.USER, self._password_file],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            if self._answers():
                return
            assert time.monotonic() < give_up, "the database does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()

    def emails(self) -> list[str]:
        """The e-mails of all documents in no order, read from the database directly."""
        with MongoClient(self.uri()) as client:
            return [document["email"] for document in client.authexample.users.find({}, {"email": 1})]

    def _answers(self) -> bool:
        try:
            with MongoClient(self.uri(), timeoutMS=500) as client:
                client.admin.command("ping")
                return True
        except PyMongoError:
            return False
