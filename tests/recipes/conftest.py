"""A directory with the pinned npm packages, where session.ts and the recipes of docs/front-ends.md are compiled."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.needs import CLIENT, missing

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def npm() -> str:
    found = shutil.which("npm")
    if found is None:
        missing("no npm: install Node.js 20.19 or newer")
    return found


@pytest.fixture(scope="session")
def workshop(npm: str) -> Iterator[Path]:
    """Outside pytest's own directory, which it keeps after the run: the packages are large."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, directory)
        subprocess.run([npm, "ci"], cwd=directory, check=True, capture_output=True)
        yield Path(directory)


@pytest.fixture
def compile_project(workshop: Path) -> Callable[..., str]:
    """Compile session.ts and ``files`` under a tsconfig, and return the compiler's messages."""

    def compile_project(name: str, tsconfig: str | dict[str, Any], files: dict[str, str]) -> str:
        project = workshop / name
        shutil.rmtree(project, ignore_errors=True)
        (project / "src").mkdir(parents=True)
        shutil.copy(CLIENT / "src" / "session.ts", project / "src")
        for path, text in files.items():
            (project / "src" / path).write_text(text)
        text = tsconfig if isinstance(tsconfig, str) else json.dumps(tsconfig)
        (project / "tsconfig.json").write_text(text)
        done = subprocess.run(
            [workshop / "node_modules" / ".bin" / "tsc", "-p", project], capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == (done.stdout == "")
        return done.stdout

    return compile_project


@pytest.fixture
def node(workshop: Path, compile_project: Callable[..., str]) -> Callable[..., str]:
    """Run JavaScript in a module next to session.js, and return its output."""
    options = {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "outDir": "dist", "types": []}
    config = {"compilerOptions": {**options, "rootDir": "src"}, "include": ["src"]}
    assert compile_project("node", config, {}) == ""

    def node(script: str, *arguments: str) -> str:
        directory = workshop / "node" / "dist"
        (directory / "package.json").write_text('{"type": "module"}')
        (directory / "script.js").write_text(script)
        command = ["node", "script.js", *arguments]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return node
