"""Only the owner can use the embedded database: it has a password, private files and its own settings."""

import os
import re
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bson
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from authservice import embedded
from authservice.config import instance
from authservice.embedded import keeper
from authservice.embedded.folder import SECRETS
from tests.database import needs_embedded
from tests.server.processes import on_directory, run, wait_until
from tests.service import free_port

pytestmark = needs_embedded

UNAUTHORIZED, AUTHENTICATION_FAILED = 13, 18
# After a refused sign-in the driver waits for the next heartbeat, by default ten seconds.
FAST_HEARTBEAT = "directConnection=true&heartbeatFrequencyMS=500"
HOSTILE = '[server]\nhost = "0.0.0.0"\nenable_test_commands = true\n'
LIST_USERS = ("flask", "--app", "wsgi", "users", "list")


@pytest.mark.parametrize("name", ["lock", "port", "database", "database-password", "encryption-key", "jwt-secret"])
def test_a_symbolic_link_is_refused(tmp_path, name):
    directory, elsewhere = tmp_path / "instance", tmp_path / "elsewhere"
    directory.mkdir(mode=0o700)
    elsewhere.mkdir(mode=0o777)
    (directory / name).symlink_to(elsewhere)
    with pytest.raises(embedded.EmbeddedUnavailable, match="is a symbolic link"):
        embedded.start(directory)


def test_every_secret_in_the_folder_is_protected():
    assert {*SECRETS} == {instance.JWT_SECRET, instance.ENCRYPTION_KEY, keeper.PASSWORD}


@pytest.fixture
def start() -> Iterator[Callable[[Path], embedded.Server]]:
    """Start embedded databases. All of them stop when the test ends."""
    running: list[embedded.Server] = []

    def start(directory: Path) -> embedded.Server:
        running.append(embedded.start(directory))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def of_first_version(tmp_path: Path) -> Path:
    """An instance folder of the first version: the folder closed, the files open, the database without a password."""
    directory = tmp_path / "instance"
    directory.mkdir(mode=0o700)
    for name in ("lock", "port"):
        (directory / name).touch(0o644)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port),
         "--storage-path", str(directory / "database"), "--sync-on-commit", "--log-level", "WARNING"],
        stdin=subprocess.DEVNULL,
        umask=0o022,
    )  # fmt: skip
    try:
        with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false") as client:
            client.authexample.users.insert_many([{"email": f"{number}@example.com"} for number in range(100)])
            for database in ("admin", "authexample"):
                for user in ("charlie", "authservice"):
                    client[database].command("createUser", user, pwd="x", roles=[{"role": "root", "db": "admin"}])
    finally:
        process.kill()
        process.wait()
    assert open_to_others(directory)
    return directory


def address(server: embedded.Server) -> str:
    return server.uri.rpartition("@")[2].partition("/")[0]


def password(server: embedded.Server) -> str:
    found = re.fullmatch(r"mongodb://authservice:([0-9a-f]{64})@.*", server.uri)
    assert found
    return found[1]


def open_to_others(directory: Path) -> list[Path]:
    return [path for path in (directory, *directory.rglob("*")) if path.stat().st_mode & 0o077]


@pytest.mark.parametrize("credentials", ["", "authservice:wrong@", f"authservice:{'0' * 64}@", "nobody:x@"])
def test_nobody_reads_or_writes_without_the_password(start, tmp_path, credentials):
    server = start(tmp_path / "instance")
    with MongoClient(server.uri) as owner:
        owner.authexample.users.insert_one({"email": "alice@example.com"})
        with MongoClient(f"mongodb://{credentials}{address(server)}/?{FAST_HEARTBEAT}") as stranger:
            users = stranger.authexample.users
            for ask in (
                lambda: users.find_one({}),
                lambda: users.insert_one({"email": "charlie@example.com"}),
                lambda: users.update_one({}, {"$set": {"roles": ["admin"]}}),
                lambda: users.drop(),
                lambda: stranger.list_database_names(),
                lambda: stranger.admin.command("createUser", "charlie", pwd="x", roles=["root"]),
            ):
                with pytest.raises(OperationFailure) as refused:
                    ask()
                assert refused.value.code == (AUTHENTICATION_FAILED if credentials else UNAUTHORIZED)
        assert [user["email"] for user in owner.authexample.users.find({})] == ["alice@example.com"]


def test_it_requires_the_password_from_the_first_moment(start, tmp_path):
    """A stranger sends requests all the time while the server restarts on a known port."""
    directory = tmp_path / "instance"
    server = start(directory)
    with MongoClient(server.uri) as owner:
        owner.authexample.users.insert_one({"email": "alice@example.com"})
    host, _, port = address(server).rpartition(":")
    _, database = on_directory(directory)
    find = struct.pack("<IB", 0, 0) + bson.encode({"find": "users", "$db": "authexample"})
    os.kill(database, 9)
    told, was_away = [], False
    give_up = time.monotonic() + 30
    while not (was_away and len(told) > 10):
        assert time.monotonic() < give_up
        try:
            with socket.create_connection((host, int(port)), 5) as stranger:
                stranger.sendall(struct.pack("<iiii", 16 + len(find), 1, 0, 2013) + find)
                answer = stranger.recv(65_536)
        except OSError:
            was_away = True
        else:
            told += [bson.decode(answer[21:])] if answer else []
    assert {answer["code"] for answer in told} == {UNAUTHORIZED}


def test_neither_the_process_list_nor_the_environment_nor_the_object_shows_the_password(start, tmp_path):
    directory = tmp_path / "instance"
    server = start(directory)
    listed = subprocess.run(["ps", "-ww", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(directory) in listed
    assert password(server) not in listed
    assert password(server) not in repr(server)
    for pid in on_directory(directory):
        assert password(server).encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_password_survives_a_restart_and_a_lost_one_is_replaced(start, tmp_path):
    directory = tmp_path / "instance"
    first = start(directory)
    with MongoClient(first.uri) as client:
        client.authexample.users.insert_one({"email": "alice@example.com"})
    first.stop()
    second = start(directory)
    assert password(second) == password(first)
    second.stop()
    (directory / "database-password").write_text("")  # a full disk may leave this
    third = start(directory)
    assert password(third) != password(first)
    with MongoClient(third.uri) as client:
        assert client.authexample.users.count_documents({}) == 1


def test_a_database_of_the_first_version_keeps_its_data_and_loses_its_users(start, of_first_version):
    server = start(of_first_version)
    assert open_to_others(of_first_version) == []
    with MongoClient(server.uri) as client:
        assert client.authexample.users.count_documents({}) == 100
        client.authexample.users.insert_one({"email": "new@example.com"})
    for source in ("admin", "authexample"):
        for user in ("charlie", "authservice"):
            uri = f"mongodb://{user}:x@{address(server)}/?authSource={source}&{FAST_HEARTBEAT}"
            with MongoClient(uri) as stranger:
                with pytest.raises(OperationFailure) as refused:
                    stranger.authexample.users.find_one({})
                assert refused.value.code == AUTHENTICATION_FAILED


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_has_access_to_the_folder_with_any_umask(start, tmp_path, umask):
    directory = tmp_path / "parent" / "instance"
    before = os.umask(umask)
    try:
        created = run(
            *LIST_USERS[:-1], "create", "alice@example.com", "--password-stdin",
            stdin="correct horse battery", FLASK_INSTANCE_PATH=str(directory), FLASK_BCRYPT_LOG_ROUNDS="4",
        )  # fmt: skip
        start(directory)
    finally:
        os.umask(before)
    assert created.returncode == 0, created.stderr
    kept = sorted(path.name for path in directory.iterdir())
    assert kept == ["database", "database-password", "encryption-key", "jwt-secret", "lock", "port"]
    assert len([*(directory / "database").iterdir()]) > 10
    for path in (directory.parent, directory, *directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


class TestAnOpenFolder:
    @pytest.fixture
    def directory(self, tmp_path):
        """A used folder, without the data."""
        directory = tmp_path / "my instance"
        (directory / "database").mkdir(parents=True)
        for name in ("jwt-secret", "encryption-key", "database-password", "lock", "database/WiredTiger"):
            (directory / name).touch(0o600)
        (directory / "jwt-secret").write_text("0123456789abcdef" * 4)
        (directory / "encryption-key").write_text("A" * 43 + "=")
        for folder in (directory, directory / "database"):
            folder.chmod(0o700)
        return directory

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770, 0o777])
    def test_with_content_is_refused_with_the_command_that_closes_it(self, directory, mode):
        directory.chmod(mode)
        for attempt in (embedded.start, embedded.find, embedded.find_or_start):
            with pytest.raises(embedded.EmbeddedUnavailable) as refused:
                attempt(directory)
            assert str(refused.value) == (
                f"{directory} holds the embedded database and its secrets, and other users have access to it. "
                f"Check what is in it, then run: chmod 700 '{directory}'"
            )
        command = str(refused.value).partition("run: ")[2]
        subprocess.run(command, shell=True, check=True)
        assert embedded.find(directory) is None

    @pytest.mark.parametrize("command", [("gunicorn", "wsgi:app"), LIST_USERS])
    def test_is_reported_in_one_sentence_without_a_traceback(self, directory, command):
        directory.chmod(0o755)
        ended = run(*command, PORT="0", FLASK_INSTANCE_PATH=str(directory))
        assert ended.returncode != 0
        assert f"run: chmod 700 '{directory}'" in ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr
        assert on_directory(directory) == []

    def test_without_content_is_closed(self, start, tmp_path):
        directory = tmp_path / "empty"
        directory.mkdir()
        directory.chmod(0o777)
        start(directory)
        assert open_to_others(directory) == []

    @pytest.mark.parametrize("name", ["jwt-secret", "encryption-key", "database-password"])
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
    def test_an_open_secret_in_it_is_refused(self, directory, name, mode):
        (directory / name).chmod(mode)
        with pytest.raises(embedded.EmbeddedUnavailable) as refused:
            embedded.find_or_start(directory)
        assert str(refused.value) == (
            f"{directory / name} is a secret, and its mode lets other users read or write it. "
            f"Delete it to get a new one, or run: chmod 600 '{directory / name}'"
        )

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the owner of a file")
    @pytest.mark.parametrize("name", ["", "jwt-secret", "database-password", "lock", "database", "database/WiredTiger"])
    def test_a_file_of_another_user_is_refused(self, directory, name):
        path = directory / name
        os.chown(path, 12_345, -1)
        with pytest.raises(embedded.EmbeddedUnavailable) as refused:
            embedded.find_or_start(directory)
        assert str(refused.value).startswith(f"{path} belongs to another user (uid 12345). ")


def test_secantus_settings_in_folder_home_and_environment_are_ignored(tmp_path):
    work, home = tmp_path / "work", tmp_path / "home"
    for folder in (work, home / ".secantus"):
        folder.mkdir(parents=True)
        (folder / "secantusd.toml").write_text(HOSTILE)
    (work / "secantus.py").write_text("raise SystemExit('from the working directory')")
    directory = tmp_path / "instance"
    script = (
        "import pathlib, sys; from authservice import embedded; "
        "server = embedded.start(pathlib.Path(sys.argv[1])); print(server.uri, flush=True); sys.stdin.read()"
    )
    hostile = {"HOME": str(home), "SECANTUS_TEST_FAST_STORAGE": "1", "WIREDTIGER_CONFIG": "no such option"}
    owner = subprocess.Popen(
        [sys.executable, "-P", "-c", script, str(directory)],
        cwd=work, env={**os.environ, **hostile}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        with MongoClient(owner.stdout.readline().strip()) as client:
            client.authexample.users.insert_one({"email": "alice@example.com"})
            with pytest.raises(OperationFailure, match="no such command"):  # a test command
                client.admin.command("configureFailPoint", "failCommand", mode="off")
        _, database = on_directory(directory)
        kept = Path(f"/proc/{database}/environ").read_bytes()
        assert b"HOME=" in kept
        assert b"SECANTUS_" not in kept
        assert b"WIREDTIGER_" not in kept
        assert Path(f"/proc/{database}/cmdline").read_bytes().split(b"\0")[1] == b"-P"
        port = int((directory / "port").read_text())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 5)
    finally:
        owner.communicate(timeout=30)
    wait_until(lambda: on_directory(directory) == [])
