"""gunicorn's configuration for the service. gunicorn runs this file at start-up and at each reload.

``authservice serve`` passes it with -c. The repository's gunicorn.conf.py runs it too.
"""

from gevent import monkey

# Patch before any import that would keep a reference to the original. The master needs the original signals and
# subprocesses.
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

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # prometheus_client reads it once, at import
    directory, owner = tempfile.mkdtemp(prefix="authservice-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory

    def remove_metrics() -> None:
        if os.getpid() == owner:  # workers inherit this function and must not remove the directory
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove_metrics)

from flask import Flask
from prometheus_client import multiprocess

from authservice import embedded, serving, state
from authservice.config import ConfigurationError, instance_path, is_readable_on_the_network, load, require_usable
from authservice.errors import DatabaseUnavailable, UsersCollectionUnfit
from authservice.serving import listening, reloading
from authservice.store import indexes

# `server` is gunicorn's Arbiter, `worker` is our Worker. gunicorn has no types.


def number(variable: str, default: int, lowest: int, highest: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        sys.exit(f"{variable} must be a whole number from {lowest} to {highest}, not {text[:40]!r}")
    return int(text)


def host() -> str:
    text = os.environ.get("HOST", "127.0.0.1")
    if not text:  # gunicorn would listen on every address
        sys.exit("HOST must not be empty; 0.0.0.0 is every address")
    return f"[{text}]" if ":" in text and not text.startswith("[") else text


try:
    settings = load(os.environ)
except ConfigurationError as error:
    sys.exit(str(error))

os.environ[serving.MARK] = str(Path(__file__))
wsgi_app = "authservice.serving.wsgi:app"  # the command line can name another one
bind = [f"{host()}:{number('PORT', 3000, 0, 65_535)}"]  # the tutorial's port
if ":" in settings["METRICS"]:
    bind.append(settings["METRICS"])
workers = number("WEB_CONCURRENCY", 2, 1, 1_000)
worker_class = "authservice.serving.worker.Worker"
# docs/decisions/0002-workers.md has the figures for the worker class, workers, reuse_port and keepalive.
reuse_port = False  # if it is on, a second service can take the same port and nobody notices
keepalive = 30  # longer than a phone's pause between two screens
# Each connection is an open file. A low limit (256 on macOS) must not end a worker.
worker_connections = max(64, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64))
backlog = 4096  # for thousands of clients at the same moment; the default maximum on Linux
max_requests = 0  # no leak is known that a restart would fix
# Room for a token of 4 KiB beside a browser's cookies. errors.py tells clients these limits.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
# A client's header must never change the route or the scheme. FLASK_TRUSTED_PROXIES says which proxies to trust.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True
accesslog = None  # the service writes its own log line per request
# For who switches it on: the usual one without query and Referer, since the query of a mail's link lets its reader in.
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s "%(a)s"'


def on_starting(server: Any) -> None:
    """In the master, before any worker: refuse a start that cannot work, and start the embedded database if needed."""
    if server.cfg.worker_class_str != worker_class:  # any other would hash in a greenlet, or never yield
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
            "FLASK_MONGO_URI connects to another machine without TLS: anybody on the network path can read the users "
            "and the database password; add tls=true"
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
    """Build the indexes before the first request, and start to deliver mails.

    If the database is unavailable, the first sign-up builds the indexes.
    """
    try:
        if isinstance(worker.wsgi, Flask):
            with worker.wsgi.app_context():
                indexes.ensure_indexes(indexes.START_SECONDS)
        else:
            worker.log.warning(
                "the app is wrapped, so the first sign-up builds the indexes, and mails are only sent by "
                "`authservice mails deliver`; wrap app.wsgi_app instead"
            )
    except UsersCollectionUnfit:
        pass  # the reason is in the log; users who have an account can still sign in
    except DatabaseUnavailable:
        worker.log.warning("the database does not answer yet; the service answers 503 until it does")
    if isinstance(worker.wsgi, Flask):
        own = state.of(worker.wsgi)
        if own.mail is not None and own.settings["MAIL_DELIVERY"] == "workers":
            worker.deliver_mails(own.deliverer)
    gc.collect()
    gc.freeze()  # what is loaded now stays loaded: keep it out of later collections


def child_exit(server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    embedded.disown()
