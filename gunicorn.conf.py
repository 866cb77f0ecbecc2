"""How the service is served: ``gunicorn wsgi:app`` in this directory reads this file."""

from gevent import monkey

# Before anything binds a name of what is patched. The master keeps its own ways with signals and children.
monkey.patch_all(os=False, queue=False, signal=False, subprocess=False)

import atexit
import gc
import os
import resource
import shutil
import sys
import tempfile

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # prometheus_client looks for it once, when it is imported
    directory, owner = tempfile.mkdtemp(prefix="authservice-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    # Workers inherit this, and must leave the directory alone.
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(directory, ignore_errors=True))

from prometheus_client import multiprocess

from authservice import embedded
from authservice.config import ConfigurationError, instance_path, load
from authservice.errors import DatabaseUnavailable
from authservice.store import users


def number(variable, default, lowest, highest):
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        sys.exit(f"{variable} must be a whole number from {lowest} to {highest}, not {text[:40]!r}")
    return int(text)


bind = [f"{os.environ.get('HOST', '127.0.0.1')}:{number('PORT', 3000, 0, 65_535)}"]  # the tutorial's port
if ":" in os.environ.get("FLASK_METRICS", ""):
    bind.append(os.environ["FLASK_METRICS"])
workers = number("WEB_CONCURRENCY", 2, 1, 1_000)
worker_class = "authservice.web.worker.Worker"
# Measured in turns on two busy cores, CPU of the workers for a guarded request at 16 and at 64 connections: 4 threads
# 1,260 and 1,240 us, 8 threads 1,000 and 1,370 us, which is the same within the noise. Three of them may wait for the
# gate of the passwords, so that eight leave five to answer, where four left one.
threads = 8
# reuse_port stays off: no faster (823 against 868 guarded requests/s), and a second service would share the port in
# silence. Worker.accept spreads the connections instead: 16 that are kept were 0 and 16, and are 7 and 9.
reuse_port = False
keepalive = 30  # longer than a phone's pause between two screens; a connection that is kept costs no thread
# Each connection is a file: a limit that is lower than usual (macOS has 256) must not end a worker.
worker_connections = max(64, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64))
backlog = 2048
max_requests = 0  # nothing leaks that a restart would have to mend
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
# A header of a client must never move a route or change the scheme; FLASK_TRUSTED_PROXIES says whom to believe.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers = {}
control_socket_disable = True
accesslog = None  # the service writes its own line a request


def on_starting(server):
    """In the master, before any worker: refuse bad settings once, and start the embedded database if it is wanted."""
    try:
        settings = load(os.environ)
        if settings["MONGO_URI"] is None:
            directory = instance_path(settings)
            embedded.own(directory)
            server.log.warning(
                "FLASK_MONGO_URI is not set: using the embedded database in %s. "
                "It is for development; production sets FLASK_MONGO_URI to a MongoDB.",
                directory,
            )
    except (ConfigurationError, embedded.EmbeddedUnavailable) as error:
        sys.exit(str(error))


def post_fork(server, worker):
    embedded.let_go()


def post_worker_init(worker):
    """The unique index, before the first request. Without a database the first sign-up builds it."""
    try:
        users.ensure_indexes()
    except DatabaseUnavailable:
        worker.log.warning("the database does not answer yet; the service answers 503 until it does")
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection need look at it again


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    embedded.disown()
