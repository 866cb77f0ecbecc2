"""The database server for newcomers: SecantusDB in a process of its own, for development and tests.

``start`` launches the keeper, which runs the server and ends it with its owner, however the owner ends.
"""

from authservice.embedded.client import DATABASE, Server, disown, find, find_or_start, let_go, own, start
from authservice.embedded.folder import EmbeddedUnavailable

__all__ = ["DATABASE", "EmbeddedUnavailable", "Server", "disown", "find", "find_or_start", "let_go", "own", "start"]
