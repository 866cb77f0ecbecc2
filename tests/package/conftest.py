"""What the tests of the package share: wheel and sdist as they would be published, and an environment with the wheel.

They run without the package in their own environment, and without the fixtures of all other tests (--confcutdir).
"""

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service import ROOT, Service

Start = Callable[[Path], Service]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Its output. A failure shows all of it."""
    ended = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel, which is built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder)
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A virtual environment with the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[embedded]")
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="session")
def start(environment: Path, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """``start(home)`` runs ``authservice serve`` in an empty directory, with that home, until the end of the tests."""
    if sys.version_info >= (3, 14):
        pytest.skip("the embedded database has no wheel for this Python")
    nobodys = dict.fromkeys((name for name in os.environ if name.startswith(("FLASK_", "XDG_", "PYTHON"))), "")
    running: list[Service] = []

    def start(home: Path) -> Service:
        service = Service(
            tmp_path_factory.mktemp("log") / "log",
            {**nobodys, "HOME": str(home), "FLASK_BCRYPT_LOG_ROUNDS": "4"},
            command=(str(environment / "bin" / "authservice"), "serve"),
            cwd=empty,
            python=environment / "bin" / "python",
        )
        running.append(service)
        service.wait_until_ready("/readyz")
        return service

    yield start
    for service in running:
        service.stop()


@pytest.fixture(scope="session")
def service(start: Start, home: Path) -> Service:
    """The service that tests share if they do not stop it."""
    return start(home)
