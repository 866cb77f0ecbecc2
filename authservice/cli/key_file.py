"""The file that FLASK_JWT_KEYS_FILE names, changed in one step."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from authservice.config import ConfigurationError, value_of
from authservice.config.key_set import KeySet, dump


def read() -> KeySet:
    """Raises ConfigurationError."""
    key_set: KeySet | None = value_of("JWT_KEYS", os.environ)
    if key_set is None:
        raise ConfigurationError(["FLASK_JWT_KEYS_FILE must name the file of the keys"])
    return key_set


def change(changed: Callable[[KeySet], KeySet], *, may_be_missing: bool = False) -> KeySet:
    """Replace the set by what ``changed`` makes of it, and return that. Commands that run at once follow each other.

    The new file is whole before it takes the place of the old one, whose mode and owner it has.
    Raises ConfigurationError, and OSError where the file cannot be written.
    """
    if "FLASK_JWT_KEYS" in os.environ or not os.environ.get("FLASK_JWT_KEYS_FILE"):
        raise ConfigurationError(
            ["FLASK_JWT_KEYS_FILE must name the file of the keys, and FLASK_JWT_KEYS must not be set"]
        )
    path = Path(os.environ["FLASK_JWT_KEYS_FILE"]).resolve()  # of a link, the file that it leads to
    with _only_one_in(path.parent):
        is_missing = may_be_missing and not path.exists()
        key_set = changed(KeySet(()) if is_missing else read())
        _replace(path, dump(key_set))
    return key_set


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            if path.exists():
                old = path.stat()
                os.fchmod(descriptor, old.st_mode & 0o777)
                os.fchown(descriptor, old.st_uid, old.st_gid)  # of the service, where root runs the command
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def _only_one_in(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)  # the new name is on the disk too
    finally:
        os.close(descriptor)
