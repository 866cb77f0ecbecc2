"""What these tests need. If it is missing, they are skipped with a message, and fail in CI."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

from tests.browser.needs import missing

HERE = Path(__file__).parent


def npm_packages(folder: Path = HERE) -> Path:
    """Its node_modules with exactly the packages of its package-lock.json; installs them if necessary."""
    npm = shutil.which("npm")
    if npm is None:
        missing("no npm: install Node.js 20.19 or newer (https://nodejs.org)")
    packages = folder / "node_modules"
    installed = packages / ".installed"  # a copy of the package-lock.json that was installed
    locked = (folder / "package-lock.json").read_text()
    if not installed.exists() or installed.read_text() != locked:
        subprocess.run([npm, "--prefix", folder, "ci"], check=True)
        installed.write_text(locked)
    return packages


def python_packages() -> None:
    for name in ("openapi_python_client", "mypy"):
        if importlib.util.find_spec(name) is None:
            missing(f"no {name}: pip install -e '.[clients]'")
