"""What gunicorn and ``flask --app wsgi`` load."""

import sys

from authservice import create_app
from authservice.config import ConfigurationError
from authservice.embedded import EmbeddedUnavailable

CANNOT_START = 3  # gunicorn takes this status of a worker as the reason to stop, not to try for ever

try:
    app = create_app()
except (ConfigurationError, EmbeddedUnavailable) as error:  # its text says what to mend; a traceback would hide it
    print(error, file=sys.stderr)
    sys.exit(CANNOT_START)
