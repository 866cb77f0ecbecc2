"""The client in the package is byte for byte what its source builds."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.browser.needs import CLIENT
from tests.service import ROOT

COMMITTED = ROOT / "authservice" / "static" / "client"


def files(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_the_built_client_is_what_its_source_builds(npm):
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "client"
        shutil.copytree(CLIENT, copy, ignore=shutil.ignore_patterns("node_modules"))
        for arguments in (["ci"], ["run", "build"]):
            subprocess.run([npm, "--prefix", copy, *arguments], check=True, capture_output=True)
        fresh = files(Path(directory) / "authservice" / "static" / "client")
    assert fresh
    committed = files(COMMITTED)
    assert fresh.keys() == committed.keys(), "run tools/build_client.py, and commit authservice/static/client"
    assert [name for name in fresh if fresh[name] != committed[name]] == []


def test_all_that_the_built_client_asks_for_is_there():
    page = (COMMITTED / "index.html").read_text()
    assets = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page)
    assert len(assets) >= 2
    assert [asset for asset in assets if not (COMMITTED / asset).is_file()] == []
