"""A SIGHUP that would end the service is refused: what new workers would load is loaded in a fork first.

gunicorn's own reload ends the master when its configuration file fails, and when a worker does not boot.
"""

import os
import signal
import sys
import tempfile
import time
from typing import IO, Any, NoReturn

import gevent
from prometheus_client import multiprocess

from authservice import embedded
from authservice.config import read_files

PATIENCE_SECONDS = 30.0
LINE_MAX = 1_000
SILENCE = f"the application did not load within {PATIENCE_SECONDS:g} s, or ended without a word"

# `server` is gunicorn's Arbiter, which has no types.


def protect(server: Any) -> None:
    """From now on ``server`` reloads only what can start; until then its workers go on as they are.

    What the settings' files say now is kept in the environment until the next good reload: a worker that takes the
    place of one that died has the settings of the others, whatever the files say by then.
    """
    reload = server.reload
    kept = read_files(os.environ)
    os.environ.update(kept)

    def reload_what_can_start() -> None:
        nonlocal kept
        before, kept = kept, _read_again(kept)
        fault = _rehearse(server)
        if fault is not None:
            _forget(kept)
            kept = before
            os.environ.update(kept)
            server.log.error("the reload is refused and the running workers stay: %s", fault)
            return
        reload()
        for name in kept:  # or a new master, which SIGUSR2 starts, would take them for its own
            server.cfg.env_orig.pop(name, None)

    server.reload = reload_what_can_start


def _read_again(kept: dict[str, str]) -> dict[str, str]:
    _forget(kept)
    found = read_files(os.environ)
    os.environ.update(found)
    return found


def _forget(kept: dict[str, str]) -> None:
    for name in kept:
        del os.environ[name]


def _rehearse(server: Any) -> str | None:
    """What is wrong, in one line; None when a fork could load all of it."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        fork = os.fork()
        if fork == 0:
            _load_and_exit(server, output)
        is_good = _succeeds(fork)
        multiprocess.mark_process_dead(fork)  # type: ignore[no-untyped-call]
        output.seek(0)
        return None if is_good else _in_one_line(output.read()) or SILENCE


def _succeeds(fork: int) -> bool:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        ended, status = os.waitpid(fork, os.WNOHANG)
        if ended:
            return status == 0
        if time.monotonic() > give_up:
            os.kill(fork, signal.SIGKILL)
        time.sleep(0.02)


def _load_and_exit(server: Any, output: IO[str]) -> NoReturn:
    """In the fork: the configuration, then the application. What they print is the reason."""
    status = 1
    try:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        embedded.let_go()
        gevent.reinit()
        server.app.reload()
        if server.app.cfg.address != server.cfg.address:
            # gunicorn would bind all of them again, also those on which the running workers still listen, and give up.
            sys.exit("it would listen elsewhere, which takes a restart")
        server.app.load()
        status = 0
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _in_one_line(output: str) -> str:
    """The lines of a list side by side; of a traceback, its last line."""
    before, traceback, after = output.partition("Traceback (most recent call last):\n")
    lines = before.splitlines() + (after.splitlines()[-1:] if traceback else [])
    said = "; ".join(line.strip(" -") for line in lines if line.strip())
    return said.replace(":; ", ": ")[:LINE_MAX]
