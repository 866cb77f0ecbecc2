"""Clients generated from /openapi.json compile in strict mode and work with the running service."""

import shutil
import sys

from tests.clients import needs
from tests.conftest import ALICE, PASSWORD


def test_a_typescript_client_compiles_and_walks(run_npm, run, description, tmp_path, serve):
    for name in ("walk.ts", "tsconfig.json", "package.json"):
        shutil.copy(needs.HERE / name, tmp_path)
    assert_done(run_npm("openapi-typescript", description, "--output", "schema.d.ts"))
    assert_done(run_npm("tsc", "--project", "."))
    walked = assert_done(run("node", "walk.js", serve().url, ALICE, PASSWORD))
    assert walked.splitlines() == [
        "signed up",
        "/password too_short",
        "signed in",
        "refresh token",
        "refreshed",
        "refreshed by cookie",
        "listed",
        "ended one",
        "still signed in",
        "signed out",
    ]


def test_a_python_client_compiles_and_walks(run, description, tmp_path, serve):
    needs.python_packages()
    shutil.copy(needs.HERE / "walk.py", tmp_path)
    options = ["--meta", "none", "--config", needs.HERE / "openapi_python_client.yaml", "--fail-on-warning"]
    output = ["--path", description, "--output-path", "authservice_client"]
    assert_done(run(sys.executable, "-m", "openapi_python_client", "generate", *output, *options))
    assert_done(run(sys.executable, "-m", "mypy", "--strict", "walk.py", "authservice_client"))
    walked = assert_done(run(sys.executable, "walk.py", serve().url, ALICE, PASSWORD))
    assert walked.splitlines() == [
        "signed up; /password too_short",
        "signed in",
        "refreshed",
        "refreshed by cookie",
        "ended one",
        "forgot a device",
        "signed out",
    ]


def assert_done(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
