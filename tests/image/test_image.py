"""The image is built and run: it has its own user, a read-only root and no secret."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ALICE, PASSWORD, SECRET
from tests.image import engines
from tests.server.processes import pass_guard, sign_up
from tests.service import Service, free_port

In = Callable[..., list[str]]
PRODUCTION = {
    "FLASK_JWT_SECRET_KEY": SECRET,
    "FLASK_CORS_ORIGINS": "https://app.example.com",
    "FLASK_METRICS": "off",
    "FLASK_TRUSTED_PROXIES": "0",
    "FLASK_BCRYPT_LOG_ROUNDS": "10",
}


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.Docker | engines.Buildah]:
    kept = os.environ.get("TOX_ENV_DIR")
    found = engines.find(Path(kept, "images") if kept else tmp_path_factory.mktemp("images"))
    if found is None:
        message = "no running Docker, and no buildah and debootstrap for root: apt-get install buildah debootstrap"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    yield found
    if isinstance(found, engines.Buildah):
        found.remove()


@pytest.fixture(scope="session")
def config(engine: engines.Docker | engines.Buildah) -> dict[str, Any]:
    """The image's configuration."""
    return engine.build()


@pytest.fixture
def inside(engine: engines.Docker | engines.Buildah, config: dict[str, Any], mongo_uri: str) -> In:
    """The command that runs a program in the image, with settings for production, changed by ``environment``."""

    def command(*program: str, **environment: str) -> list[str]:
        whole = {**PRODUCTION, "FLASK_MONGO_URI": mongo_uri, "HOST": "127.0.0.1", **environment}
        return engine.command(config, [*program], {name: value for name, value in whole.items() if value})

    return command


def run(command: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def test_it_says_who_it_is_and_holds_no_secret(config):
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["authservice"]
    assert config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert {*config["ExposedPorts"]} == {"3000/tcp"}
    names = {variable.partition("=")[0] for variable in config["Env"]}
    assert {name for name in names if name.startswith("FLASK_")} == {"FLASK_ENV"}
    assert not [name for name in names if re.search("SECRET|PASSWORD|TOKEN|URI", name)]


def test_it_serves_from_sign_up_to_the_guarded_route_and_is_healthy_only_then(config, inside, tmp_path):
    port = str(free_port())
    check_health = inside(*config["Healthcheck"]["Test"][1:], PORT=port)
    assert run(check_health).returncode != 0
    command = inside(*config["Entrypoint"], *config["Cmd"], PORT=port)
    service = Service(tmp_path / "log", {}, command=tuple(command[1:]), python=command[0], port=int(port))
    try:
        service.wait_until_ready("/readyz")
        assert pass_guard(service, sign_up(service, ALICE)).status_code == 200
        healthy = run(check_health)
        assert healthy.returncode == 0, healthy.stderr
    finally:
        assert service.stop() == 0
    assert "Using worker: authservice.serving.worker.Worker" in service.output()


def test_its_commands_are_those_of_the_package(config, inside):
    created = run(inside("authservice", "users", "create", ALICE, "--password-stdin"), stdin=PASSWORD)
    assert created.returncode == 0, created.stderr
    checked = run(inside("authservice", "check"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_without_settings_it_names_what_production_needs(inside):
    nothing = dict.fromkeys([*PRODUCTION, "FLASK_MONGO_URI"], "")
    ended = run(inside("authservice", "serve", **nothing))
    assert ended.returncode == 1
    assert "FLASK_MONGO_URI is required with FLASK_ENV=production" in ended.stderr
    assert "FLASK_TRUSTED_PROXIES is required" in ended.stderr


def test_nothing_in_it_belongs_to_its_user_or_to_everybody(inside):
    """Except folders such as /var/tmp, where all users may add files of their own."""
    odd = ["(", "-user", "10001", "-o", "-perm", "-o=w", "-not", "-perm", "-1000", ")", "-not", "-type", "l"]
    assert run(inside("find", "/", "-xdev", *odd)).stdout == ""


@pytest.mark.parametrize(("path", "code"), [("/opt/authservice/new", 1), ("/var/tmp/new", 1), ("/tmp/new", 0)])
def test_only_tmp_is_written_to(inside, path, code):
    assert run(inside("touch", path)).returncode == code


def test_nothing_of_the_build_is_left(inside):
    assert run(inside("ls", "/source")).returncode != 0
    listed = run(
        inside("python3", "-c", "import importlib.util as i; print(i.find_spec('wsgi'), i.find_spec('secantus'))")
    )
    assert listed.stdout == "None None\n"


@pytest.mark.parametrize("command", ["serve", "users list"])
def test_its_user_has_no_home_for_a_database(inside, command):
    nothing = dict.fromkeys([*PRODUCTION, "FLASK_MONGO_URI"], "")
    ended = run(inside("authservice", *command.split(), **{**nothing, "FLASK_ENV": "development"}))
    assert ended.returncode != 0
    assert ended.stderr.endswith(
        "the service cannot start:\n  - this user has no home directory for the embedded database: name a folder in "
        "FLASK_INSTANCE_PATH, or a MongoDB in FLASK_MONGO_URI\n"
    )
