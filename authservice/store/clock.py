"""The database's clock, which decides nothing here, but tells whether one of the two is wrong."""

from datetime import datetime

from authservice.state import current_state
from authservice.store.resilience import asks_database


@asks_database
def database_time() -> datetime:
    """What the database's clock says. Raises DatabaseUnavailable."""
    client = current_state().client
    said: datetime = client.admin.command("hello", codec_options=client.codec_options)["localTime"]
    return said
