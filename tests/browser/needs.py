"""What the browser tests need besides Python. If it is missing, they are skipped with a message, and fail in CI."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

CLIENT = Path(__file__).parents[2] / "client"
# Debian's Chromium: headless, as root, and without background traffic, which a closed network would refuse
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what, allow_module_level=True)


def chromium() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("no Chromium: apt-get install --no-install-recommends chromium fonts-liberation, or set CHROMIUM")
    return found


def packages() -> None:
    for name in ("playwright", "pytest_playwright", "axe_playwright_python"):
        if importlib.util.find_spec(name) is None:
            missing(f"no {name}: pip install -e '.[test,browser]'")
