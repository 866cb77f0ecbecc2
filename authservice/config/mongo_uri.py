"""What a MongoDB URI says, read as the driver reads it. No sentence here repeats the URI: it holds a password."""

import re
from urllib.parse import urlsplit

SRV = "mongodb+srv"


def parse(text: str) -> str:
    """The URI, if it names a host and a database. Raises ValueError."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a URI such as mongodb://127.0.0.1:27017/authexample") from None
    if parts.scheme not in ("mongodb", SRV) or not parts.netloc:
        raise ValueError("must start with mongodb:// or mongodb+srv:// and name a host")
    if not re.fullmatch(r"/[^/\\. \"$*<>:|?]{1,63}", parts.path):
        raise ValueError("must name the database after the host, such as mongodb://127.0.0.1:27017/authexample")
    return text
