"""The embedded database server: SecantusDB in its own process, for development and tests.

``start`` launches the keeper. The keeper runs the server and stops it when its owner ends, also after a kill -9.
"""

from authservice.embedded.client import DATABASE, Server, disown, find, find_or_start, let_go, own, start
from authservice.embedded.folder import EmbeddedUnavailable

__all__ = ["DATABASE", "EmbeddedUnavailable", "Server", "disown", "find", "find_or_start", "let_go", "own", "start"]
