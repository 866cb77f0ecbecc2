"""The commands that ``flask`` and ``authservice`` share, and their exit codes beside 0, done."""

import contextlib
import json
import logging
from collections.abc import Iterator

EXIT_REFUSED = 1  # no such user, e-mail taken; something is wrong
EXIT_BAD_INPUT = 2
EXIT_DATABASE = 3  # it does not answer, or the settings are faulty


@contextlib.contextmanager
def quiet_log() -> Iterator[None]:
    """The command says itself what went wrong; of the service's log lines only the security events are written."""
    log = logging.getLogger("authservice")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def printable(text: str) -> str:
    """What strangers wrote, such as a User-Agent, moves no cursor and hides nothing: only printable characters stay.

    The rest is escaped as in JSON: C0 and C1 controls, marks of direction, line separators.
    """
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1].replace("\x7f", "\\u007f") for one in text)
