"""The API description as a file, and the tools that run on it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.clients import needs

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def description(client: FlaskClient, tmp_path: Path) -> Path:
    """/openapi.json as a file, alone in its directory, so that no tool finds a configuration there."""
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    file = tmp_path / "openapi.json"
    file.write_bytes(answer.data)
    return file


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program in the directory of the description."""

    def run(*command: Any) -> subprocess.CompletedProcess[str]:
        quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
        return subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture
def run_npm(run: Run, tmp_path: Path) -> Run:
    """Run a program of the npm packages, which can import them."""
    packages = needs.npm_packages()
    (tmp_path / "node_modules").symlink_to(packages)

    def run_npm(program: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
        return run(packages / ".bin" / program, *arguments)

    return run_npm
