"""The figures at /metrics, for Prometheus.

Under gunicorn each worker writes its own into a file of PROMETHEUS_MULTIPROC_DIR, which gunicorn_conf.py sets, and any
worker can sum them up.
"""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

requests = Counter("authservice_requests", "Requests answered", ["method", "route", "status"])
request_seconds = Histogram("authservice_request_seconds", "Time to answer", ["method", "route"], buckets=_SECONDS)
database_seconds = Histogram("authservice_database_seconds", "Time of an operation", ["operation"], buckets=_SECONDS)
hashing_depth = Gauge("authservice_hashing_depth", "Passwords hashed or waiting now", multiprocess_mode="livesum")
hashing_refused = Counter("authservice_hashing_refused", "Passwords that the gate refused")
sign_ins = Counter("authservice_sign_ins", "Sign-ins by outcome", ["outcome"])


def exposition() -> bytes:
    """The figures of all workers, in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
