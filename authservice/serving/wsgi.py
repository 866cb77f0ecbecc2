"""The application that gunicorn loads."""

import sys

from authservice import create_app
from authservice.config import ConfigurationError
from authservice.embedded import EmbeddedUnavailable
from authservice.serving import CANNOT_START

try:
    app = create_app()
except (ConfigurationError, EmbeddedUnavailable) as error:  # the message says what to fix; a traceback would hide it
    print(error, file=sys.stderr)
    sys.exit(CANNOT_START)
