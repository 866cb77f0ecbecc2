"""The instance folder: an installation with the embedded database keeps its data and its secret there."""

import base64
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from authservice.config.keys import parse_encryption_keys, parse_secret
from authservice.config.loading import ConfigurationError

JWT_SECRET, ENCRYPTION_KEY = "jwt-secret", "encryption-key"  # the names of their files
_BESIDE_PACKAGE = Path(__file__).parents[2]


def checkout() -> Path | None:
    """The repository that contains this package; None if the package is installed."""
    is_repository = (_BESIDE_PACKAGE / "gunicorn.conf.py").is_file() and (_BESIDE_PACKAGE / "setup.cfg").is_file()
    return _BESIDE_PACKAGE if is_repository else None


def instance_path(settings: Mapping[str, Any]) -> Path:
    """INSTANCE_PATH; else ``instance/`` in the repository, or the platform's folder for user data.

    Flask's own default for an installed package is inside the virtual environment, and is deleted with it.
    Raises ConfigurationError if the user has no home directory.
    """
    if settings["INSTANCE_PATH"]:
        return Path(settings["INSTANCE_PATH"])
    repository = checkout()
    return repository / "instance" if repository else _platforms_folder()


def _platforms_folder() -> Path:
    try:
        folder = user_data_path("authservice", appauthor=False)
    except RuntimeError:
        folder = None
    if folder is None or not folder.is_absolute():
        raise ConfigurationError(
            [
                "this user has no home directory for the embedded database: name a folder in FLASK_INSTANCE_PATH, "
                "or a MongoDB in FLASK_MONGO_URI"
            ]
        )
    return folder


def require_usable(settings: Mapping[str, Any]) -> None:
    """Check the folder before anything starts in it.

    Raises ConfigurationError if the folder cannot be used, or the secret in it is bad.
    """
    directory = instance_path(settings)
    existing = next(path for path in (directory, *directory.parents) if os.path.exists(path))
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError([_unusable(directory, "it cannot be written")])
    for name, file, parse in (
        ("JWT_SECRET_KEY", JWT_SECRET, parse_secret),
        ("ENCRYPTION_KEYS", ENCRYPTION_KEY, parse_encryption_keys),
    ):
        if settings[name] is None and (directory / file).exists():
            _read(directory / file, parse)


def development_secret(directory: Path) -> str:
    """The secret of an installation with the embedded database: made on first use, readable only by its owner.

    Raises ConfigurationError if it cannot be stored there, or is bad.
    """
    return _made_once(directory / JWT_SECRET, secrets.token_hex(32), parse_secret)


def development_encryption_keys(directory: Path) -> tuple[str, ...]:
    """What encrypts second factors there, made as the secret is. Raises what ``development_secret`` raises."""
    made = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return parse_encryption_keys(_made_once(directory / ENCRYPTION_KEY, made, parse_encryption_keys))


def _made_once(path: Path, made: str, parse: Callable[[str], object]) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # 0600 from the start
            with os.fdopen(descriptor, "w") as file:
                file.write(made)
            try:
                os.link(temporary, path)  # if several workers start at once, one wins and all read its secret
            except FileExistsError:
                pass
            finally:
                os.unlink(temporary)
    except OSError as error:
        raise ConfigurationError([_unusable(path.parent, str(error.strerror))]) from None
    return _read(path, parse)


def _read(path: Path, parse: Callable[[str], object]) -> str:
    try:
        text = path.read_text()
        parse(text.rstrip("\r\n"))
    except OSError as error:
        raise ConfigurationError([_unusable(path.parent, str(error.strerror))]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"{path} is not text; delete it, and the next start makes a new one"]) from None
    except ValueError as fault:
        raise ConfigurationError([f"{path} {fault}, or delete it, and the next start makes one"]) from None
    return text


def _unusable(directory: Path, reason: str) -> str:
    return (
        f"the instance folder {directory} cannot be used ({reason}): name another one in FLASK_INSTANCE_PATH, "
        "or a MongoDB in FLASK_MONGO_URI"
    )
