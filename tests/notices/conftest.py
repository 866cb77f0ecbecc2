"""Apps that send their mails to a real mail server."""

from tests.resets.conftest import settings

__all__ = ["settings"]
