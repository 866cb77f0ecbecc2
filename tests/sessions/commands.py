"""What the service sends to the database."""

import contextlib
from collections.abc import Iterator

import pymongo.monitoring


class Commands(pymongo.monitoring.CommandListener):
    """Every command, as it is sent."""

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
    """Of the clients that are made meanwhile."""
    pymongo.monitoring.register(listener)
    yield listener
    pymongo.monitoring._LISTENERS.command_listeners.remove(listener)
