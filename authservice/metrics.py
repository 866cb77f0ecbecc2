"""The metrics at /metrics, for Prometheus.

Under gunicorn each worker writes its metrics to a file in PROMETHEUS_MULTIPROC_DIR, which gunicorn_conf.py sets. Any
worker can add them up.
"""

import os
from importlib.metadata import version

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

requests = Counter("authservice_http_requests", "HTTP requests answered.", ["method", "route", "status"])
request_seconds = Histogram(
    "authservice_http_request_duration_seconds",
    "Time from the request's arrival to its answer.",
    ["method", "route"],
    buckets=_SECONDS,
)
database_seconds = Histogram(
    "authservice_database_operation_duration_seconds",
    "Time that the database took for an operation.",
    ["operation"],
    buckets=_SECONDS,
)
hashing_depth = Gauge(
    "authservice_password_hashes_in_progress",
    "Passwords that are being hashed or wait for it.",
    multiprocess_mode="livesum",
)
hashing_refused = Counter("authservice_password_hashes_refused", "Passwords refused because too many were waiting.")
breach_checks = Counter("authservice_breach_checks", "New passwords looked up among the breached ones.", ["outcome"])
sign_ins = Counter("authservice_sign_ins", "Sign-ins. The user knows the device, or it is new.", ["outcome", "device"])
attempts_refused = Counter("authservice_attempts_refused", "Attempts refused because a budget was spent.", ["budget"])
client_addresses = Counter(
    "authservice_client_addresses", "Requests to routes with a limit, by the kind of the client's address.", ["kind"]
)
mails_sent = Counter("authservice_mails_sent", "Mails that the mail server took.", ["kind"])
mails_failed = Counter("authservice_mails_failed", "Mails given up: refused by the mail server, or too late.", ["kind"])
mails_waiting = Gauge(
    "authservice_mails_waiting", "Mails that are still to be sent.", multiprocess_mode="livemostrecent"
)
mails_oldest = Gauge(
    "authservice_mails_oldest_waiting_seconds",
    "Age of the oldest mail that is still to be sent.",
    multiprocess_mode="livemostrecent",
)
mails_paused = Gauge(
    "authservice_mails_delivery_paused",
    "1 while a setting keeps every mail from being sent, else 0.",
    multiprocess_mode="livemax",
)
_build_info = Gauge(
    "authservice_build_info",
    "Always 1; the label is the version of authservice that is running.",
    ["version"],
    multiprocess_mode="livemax",  # docs/decisions/0040-build-info.md
)


def show_version() -> None:
    """Set the version: where an application starts, and not in gunicorn's master."""
    _build_info.labels(version("authservice")).set(1)


def exposition() -> bytes:
    """The metrics of all workers, in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
