"""The time: ours, and the database's, which is only compared. A difference shows that one of the clocks is wrong."""

from datetime import UTC, datetime

from authservice.state import current_state
from authservice.store.resilience import asks_database


def now() -> datetime:
    """In milliseconds, as MongoDB stores it, so that answers equal what is stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@asks_database
def database_time() -> datetime:
    """The time on the database's clock. Raises DatabaseUnavailable."""
    client = current_state().client
    said: datetime = client.admin.command("hello", codec_options=client.codec_options)["localTime"]
    return said
