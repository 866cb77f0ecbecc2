"""Refuse a SIGHUP that would end the service: a fork loads the configuration and the application first.

gunicorn's own reload ends the master if the configuration file fails or a worker does not boot.
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

LOAD_TIMEOUT_SECONDS = 30.0
MESSAGE_MAX_CHARACTERS = 1_000
NO_OUTPUT = f"the application did not load within {LOAD_TIMEOUT_SECONDS:g} s, or ended without a message"

# `server` is gunicorn's Arbiter, which has no types.


def protect(server: Any) -> None:
    """Make ``server`` reload only what can start. Otherwise its workers keep running unchanged.

    The content of the settings' files stays in the environment until the next good reload. A worker that replaces a
    dead one then has the same settings as the others, even if the files have changed.
    """
    reload = server.reload
    loaded = read_files(os.environ)
    os.environ.update(loaded)

    def reload_if_loadable() -> None:
        nonlocal loaded
        previous, loaded = loaded, _read_again(loaded)
        fault = _try_in_fork(server)
        if fault is not None:
            _unset(loaded)
            loaded = previous
            os.environ.update(loaded)
            server.log.error("the reload is refused and the running workers stay: %s", fault)
            return
        reload()
        for name in loaded:  # otherwise a new master, which SIGUSR2 starts, inherits them
            server.cfg.env_orig.pop(name, None)

    server.reload = reload_if_loadable


def _read_again(loaded: dict[str, str]) -> dict[str, str]:
    _unset(loaded)
    found = read_files(os.environ)
    os.environ.update(found)
    return found


def _unset(loaded: dict[str, str]) -> None:
    for name in loaded:
        del os.environ[name]


def _try_in_fork(server: Any) -> str | None:
    """The error in one line; None if a fork can load everything."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        fork = os.fork()
        if fork == 0:
            _load_and_exit(server, output)
        is_loadable = _succeeds(fork)
        multiprocess.mark_process_dead(fork)  # type: ignore[no-untyped-call]
        output.seek(0)
        return None if is_loadable else _in_one_line(output.read()) or NO_OUTPUT


def _succeeds(fork: int) -> bool:
    give_up = time.monotonic() + LOAD_TIMEOUT_SECONDS
    while True:
        ended, status = os.waitpid(fork, os.WNOHANG)
        if ended:
            return status == 0
        if time.monotonic() > give_up:
            os.kill(fork, signal.SIGKILL)
        time.sleep(0.02)


def _load_and_exit(server: Any, output: IO[str]) -> NoReturn:
    """In the fork: load the configuration, then the application. What they print is the error."""
    status = 1
    try:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        embedded.let_go()
        gevent.reinit()
        server.app.reload()
        if server.app.cfg.address != server.cfg.address:
            # gunicorn would bind every address again, also those that its running workers still use, and give up.
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
    """Join the lines. Of a traceback, keep the last line only."""
    before, traceback, after = output.partition("Traceback (most recent call last):\n")
    lines = before.splitlines() + (after.splitlines()[-1:] if traceback else [])
    joined = "; ".join(line.strip(" -") for line in lines if line.strip())
    return joined.replace(":; ", ": ")[:MESSAGE_MAX_CHARACTERS]
