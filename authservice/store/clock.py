"""The database's clock, which decides nothing here, but tells whether one of the two is wrong."""

from datetime import datetime

from authservice.extensions import mongo
from authservice.store import asks_database


@asks_database
def database_time() -> datetime:
    """What the database's clock says. Raises DatabaseUnavailable."""
    assert mongo.cx is not None
    said: datetime = mongo.cx.admin.command("hello", codec_options=mongo.cx.codec_options)["localTime"]
    return said
