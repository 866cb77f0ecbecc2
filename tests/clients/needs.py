"""What these tests need. If it is missing, they are skipped with a message, and fail in CI."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

from tests.browser.needs import missing

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
_INSTALLED = NODE_MODULES / ".installed"  # a copy of the package-lock.json that was installed


def npm_packages() -> Path:
    """The node_modules with exactly the packages of package-lock.json; installs them if necessary."""
    npm = shutil.which("npm")
    if npm is None:
        missing("no npm: install Node.js 20.19 or newer (https://nodejs.org)")
    locked = (HERE / "package-lock.json").read_text()
    if not _INSTALLED.exists() or _INSTALLED.read_text() != locked:
        subprocess.run([npm, "--prefix", HERE, "ci"], check=True)
        _INSTALLED.write_text(locked)
    return NODE_MODULES


def python_packages() -> None:
    for name in ("openapi_python_client", "mypy"):
        if importlib.util.find_spec(name) is None:
            missing(f"no {name}: pip install -e '.[clients]'")
