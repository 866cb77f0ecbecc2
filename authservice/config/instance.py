"""The instance folder: where an installation on the embedded database keeps its data and its secret."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask


def instance_path(settings: Mapping[str, Any]) -> Path:
    """INSTANCE_PATH, or Flask's own instance folder."""
    return Path(settings["INSTANCE_PATH"] or Flask("authservice").instance_path)


def development_secret(directory: Path) -> str:
    """The secret of an installation on the embedded database: made on first use, readable by its owner alone."""
    path = directory / "jwt-secret"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        descriptor, temporary = tempfile.mkstemp(dir=directory)  # 0600 from the start
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(temporary, path)  # of several workers that start at once, one wins and all read its secret
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
    return path.read_text()
