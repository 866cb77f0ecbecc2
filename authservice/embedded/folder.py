"""The folder of the embedded database: only the user who runs the service has access to it."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

SECRETS = ("jwt-secret", "database-password")
_LEFT_LOOSE = ("lock", "port", "database")  # the first version made these under the shell's umask
_OF_OTHERS = 0o077


class EmbeddedUnavailable(Exception):
    """The embedded database cannot be used; the message says what to install, to set or to run.

    Its text is for the person who starts the service:

        except (ConfigurationError, EmbeddedUnavailable) as error:
            sys.exit(str(error))
    """


def secure(directory: Path) -> None:
    """Make the folder, or make sure that no other user has access to it or to what the service keeps there.

    A folder that is open to others is refused: whatever is in it may have been read or planted. An empty one has
    nothing to lose and is closed. Inside a closed folder nobody could reach what the first version left open, so that
    is closed as well; it always closed the secrets, so an open one is refused.

    Raises EmbeddedUnavailable.
    """
    try:
        _secure(directory)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"the instance folder {directory} cannot be used ({error.strerror}): name another one in "
            "FLASK_INSTANCE_PATH, or a MongoDB in FLASK_MONGO_URI"
        ) from None


def _secure(directory: Path) -> None:
    for folder in (*reversed(directory.parents), directory):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)  # mkdir(parents=True) would leave the parents to the umask
    status = directory.stat()
    _refuse_other_owner(directory, status)
    if status.st_mode & _OF_OTHERS:
        if any(directory.iterdir()):
            raise EmbeddedUnavailable(
                f"{directory} holds the embedded database and its secrets, and other users have access to it. "
                f"Check what is in it, then run: chmod 700 {shlex.quote(str(directory))}"
            )
        directory.chmod(0o700)
        if directory.stat().st_mode & _OF_OTHERS:  # a file system without modes, such as FAT
            raise EmbeddedUnavailable(
                f"{directory} lies on a file system that cannot close it to other users: name another folder in "
                "FLASK_INSTANCE_PATH, or a MongoDB in FLASK_MONGO_URI"
            )
    for path in _kept_in(directory):
        try:
            _secure_entry(path)
        except FileNotFoundError:  # the engine removes files while it runs
            continue


def _secure_entry(path: Path) -> None:
    status = path.lstat()
    _refuse_other_owner(path, status)
    if stat.S_ISLNK(status.st_mode):
        raise EmbeddedUnavailable(
            f"{path} is a symbolic link, and what it leads to may be open to other users. Move that here, or name "
            "another folder in FLASK_INSTANCE_PATH"
        )
    if not status.st_mode & _OF_OTHERS:
        return
    if path.name in SECRETS:
        raise EmbeddedUnavailable(
            f"{path} is a secret, and its mode lets other users read or write it. "
            f"Delete it to have a new one made, or run: chmod 600 {shlex.quote(str(path))}"
        )
    path.chmod(stat.S_IMODE(status.st_mode) & ~_OF_OTHERS)


def _kept_in(directory: Path) -> Iterator[Path]:
    for name in (*SECRETS, *_LEFT_LOOSE):
        yield directory / name
    for root, folders, files in os.walk(directory / "database"):
        for name in (*folders, *files):
            yield Path(root, name)


def _refuse_other_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        quoted = shlex.quote(str(path))
        raise EmbeddedUnavailable(
            f"{path} belongs to another user (uid {status.st_uid}). Start the service as that user, or check what is "
            f"in it and run: chown -R {os.geteuid()} {quoted} && chmod -R go-rwx {quoted}"
        )
