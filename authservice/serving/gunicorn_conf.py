"""How the service is served: gunicorn runs this file at the start and at each reload.

``authservice serve`` names it with -c; gunicorn.conf.py of the repository runs it too.
"""

from gevent import monkey

# Before anything is imported that keeps what this replaces. The master keeps its own ways with signals and children.
monkey.patch_all(os=False, queue=False, signal=False, subprocess=False)

import atexit
import gc
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # prometheus_client looks for it once, when it is imported
    directory, owner = tempfile.mkdtemp(prefix="authservice-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory

    def remove_metrics() -> None:
        if os.getpid() == owner:  # workers inherit this, and must leave the directory alone
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove_metrics)

from flask import Flask
from prometheus_client import multiprocess

from authservice import embedded, serving
from authservice.config import ConfigurationError, instance_path, is_readable_on_the_network, load, require_usable
from authservice.errors import DatabaseUnavailable, UsersCollectionUnfit
from authservice.serving import listening, reloading
from authservice.store import indexes

# `server` is gunicorn's Arbiter, `worker` our Worker: gunicorn has no types.


def number(variable: str, default: int, lowest: int, highest: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        sys.exit(f"{variable} must be a whole number from {lowest} to {highest}, not {text[:40]!r}")
    return int(text)


def host() -> str:
    text = os.environ.get("HOST", "127.0.0.1")
    if not text:  # gunicorn would listen to the whole network
        sys.exit("HOST must not be empty; 0.0.0.0 is every address")
    return f"[{text}]" if ":" in text and not text.startswith("[") else text


try:
    settings = load(os.environ)
except ConfigurationError as error:
    sys.exit(str(error))

os.environ[serving.MARK] = str(Path(__file__))
wsgi_app = "authservice.serving.wsgi:app"  # unless the command line names another
bind = [f"{host()}:{number('PORT', 3000, 0, 65_535)}"]  # the tutorial's port
if ":" in settings["METRICS"]:
    bind.append(settings["METRICS"])
workers = number("WEB_CONCURRENCY", 2, 1, 1_000)
worker_class = "authservice.serving.worker.Worker"
# The figures are medians of turns on two cores that the embedded database and wrk share: guarded requests/s at 16 and
# at 64 connections, all on 2026-11-24. As it is: 2,772 and 3,521.
# A worker a core: with one, which leaves the other core to the database, 2,069 and 2,183; with three 2,586 and 3,433;
# with four 2,107 and 3,277.
# Greenlets and not threads, measured before guards asked together, which threads rarely would: gthread with eight
# threads took 949 us of the workers' CPU for a request where greenlets took 757, made 1,069 and 1,120 where they made
# 1,267 and 1,512, and 500 clients who drip their bytes held all of it. Hashing has threads of its own.
# reuse_port stays off: 2,879 and 3,541, but a second service would share the port in silence. Worker spreads the
# connections instead: of 16 that are kept each of two workers has 6 to 10.
reuse_port = False
# Longer than a phone's pause between two screens. Without it: 2,044 and 2,318.
keepalive = 30
# Each connection is a file: a limit that is lower than usual (macOS has 256) must not end a worker.
worker_connections = max(64, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64))
backlog = 4096  # some thousands who come in the same moment are all taken; Linux allows no more unasked
max_requests = 0  # nothing leaks that a restart would have to fix
# Room for a token of 4 KiB beside a browser's cookies; errors.py tells these to clients.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
# A header of a client must never move a route or change the scheme; FLASK_TRUSTED_PROXIES says whom to believe.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True
accesslog = None  # the service writes its own line a request


def on_starting(server: Any) -> None:
    """In the master, before any worker: refuse what cannot work, and start the embedded database if it is wanted."""
    if server.cfg.worker_class_str != worker_class:  # any other would hash on a greenlet, or never yield
        sys.exit(f"the worker class must be {worker_class}, not {server.cfg.worker_class_str}: leave out -k")
    inherits = "GUNICORN_FD" in os.environ or os.environ.get("LISTEN_PID") == str(os.getpid())  # of USR2, of systemd
    if not inherits and not server.cfg.reuse_port:
        fault = listening.fault_of(address for address in server.cfg.address if isinstance(address, tuple))
        if fault is not None:
            sys.exit(fault)
    if settings["MONGO_URI"] is None:
        start_embedded_database(server)
    elif is_readable_on_the_network(settings["MONGO_URI"]):
        server.log.warning(
            "FLASK_MONGO_URI leads to another machine without TLS: whoever is on the way reads the users and the "
            "database's password; add tls=true"
        )
    reloading.protect(server)


def start_embedded_database(server: Any) -> None:
    try:
        directory = instance_path(settings)
        require_usable(settings)
        embedded.own(directory, [settings["USERS_COLLECTION"]])
    except (ConfigurationError, embedded.EmbeddedUnavailable) as error:
        sys.exit(str(error))
    server.log.warning(
        "FLASK_MONGO_URI is not set: using the embedded database in %s. "
        "It is for development; production sets FLASK_MONGO_URI to a MongoDB.",
        directory,
    )


def post_fork(server: Any, worker: Any) -> None:
    embedded.let_go()


def post_worker_init(worker: Any) -> None:
    """The indexes, before the first request. Without a database the first sign-up builds them."""
    try:
        if isinstance(worker.wsgi, Flask):
            with worker.wsgi.app_context():
                indexes.ensure_indexes(indexes.START_SECONDS)
        else:
            worker.log.warning("the app is wrapped: the first sign-up builds the indexes; wrap app.wsgi_app instead")
    except UsersCollectionUnfit:
        pass  # its line is in the log; who has an account signs in all the same
    except DatabaseUnavailable:
        worker.log.warning("the database does not answer yet; the service answers 503 until it does")
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection need look at it again


def child_exit(server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    embedded.disown()
