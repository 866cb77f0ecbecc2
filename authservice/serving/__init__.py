"""Serve the service by gunicorn with gunicorn_conf.py, and with no other configuration."""

import os
import sys
from pathlib import Path

from authservice.config import ConfigurationError

CONFIGURATION = Path(__file__).with_name("gunicorn_conf.py")
CANNOT_START = 3  # a worker's exit status at which gunicorn stops and does not retry
LAUNCHER = Path(__file__).with_name("launch.py")
MARK = "AUTHSERVICE_GUNICORN_CONF"  # an environment variable that gunicorn_conf.py sets and every worker inherits


def require_own_configuration() -> None:
    """Raises ConfigurationError if gunicorn runs without gunicorn_conf.py.

    gunicorn's defaults are unsafe here: a worker that handles one request at a time, 0.0.0.0 if the platform sets PORT,
    and trust in X-Forwarded-Proto from any process on this machine.
    """
    is_gunicorn = "gunicorn.arbiter" in sys.modules and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")
    if is_gunicorn and MARK not in os.environ:
        raise ConfigurationError(
            [
                "gunicorn runs without the configuration of this service: start `authservice serve`, "
                f"or gunicorn with -c {CONFIGURATION}"
            ]
        )
