"""A start that cannot work ends at once, with a sentence and without a traceback."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SECRET
from tests.database import needs_embedded
from tests.server.processes import on_directory, run
from tests.service import free_port

DATABASE = {"FLASK_MONGO_URI": "mongodb://127.0.0.1:1/x", "FLASK_JWT_SECRET_KEY": SECRET}
GUNICORN = ("gunicorn", "wsgi:app")
FLASK = ("flask", "--app", "wsgi", "users", "list")
ADVICE = "make one with: openssl rand -hex 32, or delete it, and the next start makes one"
TOO_LONG = ".".join(["a" * 63] * 5)  # for a host name, so no name server is asked
RETRIES_SECONDS = 5  # how long gunicorn retries to bind an address


# Without these capabilities, permissions restrict root too.
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


def last_words(*command: str, through: tuple[str, ...] = (), **environment: str) -> str:
    """The output of a start that fails, without gunicorn's first line."""
    ended = run(*command, through=through, **environment)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stdout + ended.stderr
    return re.sub(r"^\[.*\] Starting gunicorn .*\n", "", ended.stderr)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_busy_port_is_one_sentence_at_once(busy_port):
    """gunicorn itself would retry five times and log a line each time."""
    said = last_words(*GUNICORN, PORT=str(busy_port), **DATABASE)
    assert said == f"cannot listen on 127.0.0.1:{busy_port}: Address already in use\n"


def test_a_busy_metrics_address_is_one_sentence(busy_port):
    said = last_words(*GUNICORN, PORT="0", FLASK_METRICS=f"127.0.0.1:{busy_port}", **DATABASE)
    assert said == f"cannot listen on 127.0.0.1:{busy_port}: Address already in use\n"


def test_two_listeners_on_one_address_are_one_sentence():
    port = free_port()
    said = last_words(*GUNICORN, PORT=str(port), FLASK_METRICS=f"127.0.0.1:{port}", **DATABASE)
    assert said == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_busy_port_starts_no_database(busy_port, tmp_path):
    directory = tmp_path / "instance"
    assert "Address already in use" in last_words(*GUNICORN, PORT=str(busy_port), FLASK_INSTANCE_PATH=str(directory))
    assert not directory.exists()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        (TOO_LONG, rf"cannot listen on {TOO_LONG}:3000: .+"),
        ("192.0.2.1", r"cannot listen on 192\.0\.2\.1:3000: Cannot assign requested address"),  # RFC 5737
        ("a" * 64, rf"cannot listen on {'a' * 64}:3000: .+"),
        ("", r"HOST must not be empty; 0\.0\.0\.0 is every address"),
    ],
)
def test_a_host_of_another_machine_is_one_sentence(host, sentence):
    assert re.fullmatch(f"{sentence}\n", last_words(*GUNICORN, HOST=host, PORT="3000", **DATABASE))


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_an_ipv6_address_needs_no_brackets():
    printed = run("gunicorn", "--print-config", "wsgi:app", HOST="::1", PORT="3000", **DATABASE)
    assert "['[::1]:3000']" in printed.stdout


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:65536", "127.0.0.1:0", "127.0.0.1:00000"])
@pytest.mark.parametrize("command", [GUNICORN, FLASK])
def test_an_invalid_metrics_port_is_one_sentence(command, address):
    assert last_words(*command, PORT="0", FLASK_METRICS=address, **DATABASE) == (
        "the service cannot start:\n"
        f"  - FLASK_METRICS must be on, off or an address such as 127.0.0.1:9100, not {address!r}\n"
    )


def test_the_metrics_address_may_come_from_a_file(serve, tmp_path):
    port = free_port()
    (tmp_path / "metrics").write_text(f"127.0.0.1:{port}\n")
    service = serve(workers=1, FLASK_METRICS_FILE=str(tmp_path / "metrics"))
    assert f"http://127.0.0.1:{port}" in service.output()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", f"must have at least 32 bytes; {ADVICE}"),
        (b"\n" * 40, f"must have at least 32 bytes; {ADVICE}"),
        (b"a" * 31, f"must have at least 32 bytes; {ADVICE}"),
        (
            b"thisismykickasssecretthatiwilltotallychangelater\n",
            f"is a published example, so anybody could sign tokens with it; {ADVICE}",
        ),
        (b"\xff" * 40, "is not text; delete it, and the next start makes a new one"),
    ],
    ids=["empty", "line ends", "short", "published", "not text"],
)
@pytest.mark.parametrize("command", [GUNICORN, FLASK])
def test_a_bad_secret_in_the_instance_folder_is_one_sentence(tmp_path, command, content, fault):
    path = tmp_path / "instance" / "jwt-secret"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    said = last_words(*command, PORT="0", FLASK_INSTANCE_PATH=str(path.parent))
    assert said == f"the service cannot start:\n  - {path} {fault}\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["jwt-secret"]  # no database was started


@needs_embedded
def test_a_bad_secret_that_is_not_needed_is_left_alone(tmp_path):
    path = tmp_path / "instance" / "jwt-secret"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    listed = run(*FLASK, FLASK_INSTANCE_PATH=str(path.parent), FLASK_JWT_SECRET_KEY=SECRET)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert path.read_text() == ""


@pytest.mark.parametrize("command", [GUNICORN, FLASK])
def test_an_instance_folder_below_a_file_is_one_sentence(tmp_path, command):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "instance"
    assert last_words(*command, PORT="0", FLASK_INSTANCE_PATH=str(folder)) == unusable(folder)


@pytest.mark.parametrize("is_there", [True, False], ids=["read-only", "in one that is read-only"])
@pytest.mark.parametrize("command", [GUNICORN, FLASK])
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_read_only_instance_folder_is_one_sentence(tmp_path, command, is_there):
    folder = tmp_path / "parent" / "instance"
    (folder if is_there else folder.parent).mkdir(parents=True, mode=0o700)
    (folder if is_there else folder.parent).chmod(0o500)
    through = AS_ANYBODY if os.geteuid() == 0 else ()
    said = last_words(*command, through=through, PORT="0", FLASK_INSTANCE_PATH=str(folder))
    assert said == unusable(folder)
    assert on_directory(folder) == []


def unusable(folder: Path) -> str:
    return (
        "the service cannot start:\n"
        f"  - the instance folder {folder} cannot be used (it cannot be written): name another one in "
        "FLASK_INSTANCE_PATH, or a MongoDB in FLASK_MONGO_URI\n"
    )
