"""Check once whether gunicorn can bind its addresses. gunicorn itself retries for five seconds."""

import contextlib
import socket
from collections.abc import Iterable

Address = tuple[str, int]


def fault_of(addresses: Iterable[Address]) -> str | None:
    """Why the service cannot listen on all ``addresses`` at once; None if it can."""
    with contextlib.ExitStack() as listeners:
        for host, port in addresses:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = listeners.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
                listener.listen(1)  # two sockets that only bind do not conflict
            except (OSError, UnicodeError, OverflowError) as error:
                shown = f"[{host}]" if ":" in host else host
                return f"cannot listen on {shown}:{port}: {getattr(error, 'strerror', None) or error}"
    return None
