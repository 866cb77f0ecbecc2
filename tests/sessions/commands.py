"""The commands that the service sends to the database."""

import contextlib
from collections.abc import Iterator

import pymongo.monitoring


class Commands(pymongo.monitoring.CommandListener):
    """Collects every command when it is sent."""

    def __init__(self):
        self.seen = []

    def started(self, event):
        self.seen.append(event.command)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@contextlib.contextmanager
def heard(listener: Commands) -> Iterator[Commands]:
    """Listen to all clients that are created in the ``with`` block."""
    pymongo.monitoring.register(listener)
    yield listener
    pymongo.monitoring._LISTENERS.command_listeners.remove(listener)
