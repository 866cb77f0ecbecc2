"""The systemd unit, the workflow of CI and compose.yaml are well-formed."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.conftest import run
from tests.service import ROOT, Service

UNIT = (ROOT / "deploy" / "authservice.service").read_text()
EXPOSURE_MAX = 2.0  # of 10; access to the network alone counts 0.5
needs_systemd = pytest.mark.skipif(
    not os.environ.get("CI") and shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


@pytest.fixture
def unit(tmp_path: Path, environment: Path) -> Path:
    """The unit, with a program that exists on this machine."""
    file = tmp_path / "authservice.service"
    assert UNIT.count("ExecStart=/opt/authservice/bin/authservice serve\n") == 1
    file.write_text(UNIT.replace("ExecStart=/opt/authservice", f"ExecStart={environment}"))
    return file


@needs_systemd
def test_systemd_takes_the_unit_without_a_word(unit):
    assert run("systemd-analyze", "verify", "--man=no", unit) == ""


@needs_systemd
def test_systemd_finds_the_unit_well_shut_in(unit):
    told = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    exposure = re.search(r"Overall exposure level .*: ([0-9.]+)", told)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_MAX


def test_the_unit_names_only_settings_that_exist():
    table = re.findall(r"^\| `(FLASK_\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = re.findall(r"\b(FLASK_\w+?)(?:_FILE)?=", UNIT)
    assert named
    assert set(named) <= set(table)


@pytest.mark.skipif(sys.platform != "linux" or sys.version_info >= (3, 14), reason="Linux, with the embedded database")
def test_it_tells_systemd_that_it_is_ready_and_needs_no_memory_that_it_may_write_and_execute(environment, tmp_path):
    """Type=notify, and MemoryDenyWriteExecute by means of the kernel's PR_SET_MDWE (Linux 6.3)."""
    (tmp_path / "deny.py").write_text(
        "import ctypes, os, sys\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):\n"
        "    print('this kernel cannot deny it', file=sys.stderr)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        settings = {"FLASK_INSTANCE_PATH": str(tmp_path / "data"), "FLASK_BCRYPT_LOG_ROUNDS": "4"}
        command = (str(tmp_path / "deny.py"), str(environment / "bin" / "authservice"), "serve")
        service = Service(
            tmp_path / "log", {**settings, "NOTIFY_SOCKET": str(tmp_path / "notify")}, command=command, cwd=tmp_path
        )
        try:
            assert b"READY=1" in systemd.recv(4_096).splitlines()
            service.wait_until_ready("/readyz")
        finally:
            service.stop()


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-workflows", ".github/workflows/*.yml"), ("vendor.compose-spec", "compose.yaml")],
)
def test_workflows_and_composition_fit_their_schemas(schema, files):
    found = [*ROOT.glob(files)]
    assert found
    run(Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", schema, *found)


def test_docker_takes_the_composition():
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode:
        pytest.skip("docker compose is not installed")
    run("docker", "compose", "--file", ROOT / "compose.yaml", "config", "--quiet")
