"""Operations of commands that move many users at once: they may take longer than a request may."""

import contextlib
import logging
from collections.abc import Iterator

import pymongo
from pymongo.errors import PyMongoError

from authservice.errors import DatabaseUnavailable

PATIENCE_SECONDS = 120.0  # also for a replica set to elect its next primary

log = logging.getLogger(__name__)


@contextlib.contextmanager
def patient(operation: str) -> Iterator[None]:
    """Raises DatabaseUnavailable for every failure of the database within the block."""
    try:
        with pymongo.timeout(PATIENCE_SECONDS):
            yield
    except PyMongoError as error:
        # Only its class and code: the text may contain an e-mail or the URI's password.
        code = getattr(error, "code", None)
        log.error("database_error", extra={"operation": operation, "error": type(error).__name__, "errorCode": code})
        raise DatabaseUnavailable from None
