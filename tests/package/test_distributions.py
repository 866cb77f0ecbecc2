"""Wheel and sdist are complete, and PyPI's tools accept them without a warning."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.package.conftest import run
from tests.service import ROOT

PACKAGE = ROOT / "authservice"


def test_twine_accepts_both(wheel, sdist):
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)


def test_the_wheel_has_nothing_that_it_should_not_have(wheel):
    run(Path(sys.executable).with_name("check-wheel-contents"), wheel)
    names = zipfile.ZipFile(wheel).namelist()
    assert {re.sub(r"^authservice-[^/]+\.dist-info$", "dist-info", name.split("/")[0]) for name in names} == {
        "authservice",
        "dist-info",
    }


def test_pyroma_has_no_wish(sdist):
    assert "Final rating: 10/10" in run(Path(sys.executable).with_name("pyroma"), "--min=10", sdist)


def test_the_wheel_has_the_whole_package(wheel):
    """The built client, the pages, gunicorn's configuration, and py.typed."""
    there = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.is_file()}
    there = {name for name in there if "__pycache__" not in name}
    assert "authservice/static/client/index.html" in there
    assert "authservice/serving/gunicorn_conf.py" in there
    assert there == {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("authservice/")}


def test_the_wheel_has_the_licences_of_the_service_and_of_the_list_of_passwords(wheel):
    archive = zipfile.ZipFile(wheel)
    (own,) = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    assert archive.read(own).decode() == (ROOT / "LICENSE").read_text()
    of_list = "authservice/security/common_passwords.txt"
    assert archive.read(of_list).decode() == (ROOT / of_list).read_text()


def test_the_wheel_has_the_readme(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    _, _, body = archive.read(name).decode().partition("\n\n")
    assert body.strip() == (ROOT / "README.md").read_text().strip()


@pytest.mark.skipif(not (shutil.which("git") and (ROOT / ".git").exists()), reason="no clone of git")
def test_the_sdist_has_all_that_git_has(sdist):
    """So the tests run in it, and no stray file gets into it."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    in_git = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert in_git - in_sdist == set()
    made = {name for name in in_sdist - in_git if name != "PKG-INFO" and not name.startswith("authservice.egg-info/")}
    assert made == set()
