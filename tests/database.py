"""The database server of the tests: the MongoDB that TEST_MONGO_URI names, or a SecantusDB that they start."""

import importlib.util
import os
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

GIVEN_URI = os.environ.get("TEST_MONGO_URI")  # also empty, where a CI matrix leaves it out

needs_embedded = pytest.mark.skipif(
    importlib.util.find_spec("secantus") is None,
    reason="starts the embedded database, which has no wheel for this Python or platform",
)
KILLS = "kills or stalls its database, which it cannot do to the one of TEST_MONGO_URI"


def uri_with(uri: str, database: str, address: str | None = None, **options: str) -> str:
    """``uri`` for another database, and for another address and with other options where they are given."""
    parts = urlsplit(uri)
    user, at, hosts = parts.netloc.rpartition("@")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if at:  # the driver would look for the user in the database of the path
        query.setdefault("authSource", parts.path.strip("/") or "admin")
    netloc = f"{user}{at}{address or hosts}"
    return urlunsplit((parts.scheme, netloc, f"/{database}", urlencode(query | options), ""))
