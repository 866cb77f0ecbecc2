"""The database's clock. The service does not use it, but a difference shows that one of the two clocks is wrong."""

from datetime import datetime

from authservice.state import current_state
from authservice.store.resilience import asks_database


@asks_database
def database_time() -> datetime:
    """The time on the database's clock. Raises DatabaseUnavailable."""
    client = current_state().client
    said: datetime = client.admin.command("hello", codec_options=client.codec_options)["localTime"]
    return said
