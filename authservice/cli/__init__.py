"""The commands that ``flask`` and ``authservice`` share, and their exit codes other than 0."""

import contextlib
import json
import logging
from collections.abc import Iterator

EXIT_REFUSED = 1  # for example no such user, e-mail taken, something is wrong
EXIT_BAD_INPUT = 2
EXIT_DATABASE = 3  # the database does not answer, or the settings are faulty


@contextlib.contextmanager
def quiet_log() -> Iterator[None]:
    """Write only the security events of the service's log. The command itself reports errors."""
    log = logging.getLogger("authservice")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def counted(count: int, one: str, several: str) -> str:
    """The number and the words that go with it: ``counted(1, "user has", "users have")``."""
    return f"{count:,} {one if count == 1 else several}"


def printable(text: str) -> str:
    """Escape what is not printable, as JSON does: controls, direction marks, line separators.

    Text from strangers, such as a User-Agent, must not move the cursor or hide anything.
    """
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1].replace("\x7f", "\\u007f") for one in text)
