"""The folder of the embedded database: only the user who runs the service has access to it."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

SECRETS = ("jwt-secret", "encryption-key", "database-password")
_MADE_BY_UMASK = ("lock", "port", "database")  # the first version created these with the shell's umask
_OF_OTHERS = 0o077


class EmbeddedUnavailable(Exception):
    """The embedded database cannot be used; the message says what to install, to set or to run.

    Its text is for the person who starts the service:

        except (ConfigurationError, EmbeddedUnavailable) as error:
            sys.exit(str(error))
    """


def secure(directory: Path) -> None:
    """Create the folder, or make sure that no other user has access to it or to the service's files in it.

    If a folder with content is open to others, it is refused: somebody may have read or planted that content. An empty
    folder is closed. The first version left some files open inside a closed folder; nobody could reach them, so they
    are closed as well. It never left a secret open, so an open secret is refused.

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
            folder.mkdir(mode=0o700, exist_ok=True)  # mkdir(parents=True) creates the parents with the umask
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
                f"the file system of {directory} cannot close it to other users: name another folder in "
                "FLASK_INSTANCE_PATH, or a MongoDB in FLASK_MONGO_URI"
            )
    for path in _files_of_service(directory):
        try:
            _secure_entry(path)
        except FileNotFoundError:  # the engine removes files while it runs
            continue


def _secure_entry(path: Path) -> None:
    status = path.lstat()
    _refuse_other_owner(path, status)
    if stat.S_ISLNK(status.st_mode):
        raise EmbeddedUnavailable(
            f"{path} is a symbolic link, and its target may be open to other users. Move the target here, or name "
            "another folder in FLASK_INSTANCE_PATH"
        )
    if not status.st_mode & _OF_OTHERS:
        return
    if path.name in SECRETS:
        raise EmbeddedUnavailable(
            f"{path} is a secret, and its mode lets other users read or write it. "
            f"Delete it to get a new one, or run: chmod 600 {shlex.quote(str(path))}"
        )
    path.chmod(stat.S_IMODE(status.st_mode) & ~_OF_OTHERS)


def _files_of_service(directory: Path) -> Iterator[Path]:
    for name in (*SECRETS, *_MADE_BY_UMASK):
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
