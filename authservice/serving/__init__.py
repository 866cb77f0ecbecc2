"""How the service is served: by gunicorn with gunicorn_conf.py, and with no other configuration."""

import os
import sys
from pathlib import Path

from authservice.config import ConfigurationError

CONFIGURATION = Path(__file__).with_name("gunicorn_conf.py")
CANNOT_START = 3  # gunicorn takes this status of a worker as the reason to stop, not to try again and again
LAUNCHER = Path(__file__).with_name("launch.py")
MARK = "AUTHSERVICE_GUNICORN_CONF"  # a variable that gunicorn_conf.py sets and every worker inherits


def require_own_configuration() -> None:
    """Raises ConfigurationError where gunicorn runs without gunicorn_conf.py.

    gunicorn's own defaults are a worker that takes one request at a time, 0.0.0.0 with many a platform's PORT, and
    belief in the X-Forwarded-Proto of whoever is on this machine.
    """
    is_gunicorn = "gunicorn.arbiter" in sys.modules and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")
    if is_gunicorn and MARK not in os.environ:
        raise ConfigurationError(
            [
                "gunicorn runs without the configuration of this service: start `authservice serve`, "
                f"or gunicorn with -c {CONFIGURATION}"
            ]
        )
