"""Attackers, each in its own process: ``python -m tests.faults.attack heads|bodies PORT SECONDS [BYTES]``.

At the end they print what they did as one line of JSON.
"""

import contextlib
import json
import resource
import socket
import sys
import time

HEADS = 120
HEAD_FIELD = b"X-Field: " + b"a" * 7_989 + b"\r\n"
DRIPPED_BYTES_A_SECOND = 7_000
HEAD_PAUSE_SECONDS = 5.0

BODIES = 2_300
BODY_PAUSE_SECONDS = 15.0
BODY_HEAD = b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"


class Connection:
    """A connection that is reopened some time after it was last opened."""

    def __init__(self, port: int, sent: bytes) -> None:
        self._port, self._sent = port, sent
        self.opened_at = 0.0
        self.socket: socket.socket | None = None
        self._left = memoryview(b"")

    def open(self) -> None:
        self.close()
        self.opened_at = time.monotonic()
        with contextlib.suppress(OSError):
            self.socket = socket.create_connection(("127.0.0.1", self._port), 1)
            self.socket.setblocking(False)
            self._left = memoryview(self._sent)
            self.send_more()

    def send_more(self) -> bool:
        """Send the rest, or one more byte. Whether the service still accepts it."""
        if self.socket is None:
            return False
        try:
            self._left = self._left[self.socket.send(self._left or b"a") :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return False
        return True

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def drip_heads(port: int, seconds: float, size: int) -> dict[str, int]:
    """Send incomplete heads of ``size`` bytes on HEADS connections, and then a byte now and then."""
    head = (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + HEAD_FIELD * (1 + size // len(HEAD_FIELD)))[:size]
    connections = [Connection(port, head) for _ in range(HEADS)]
    opened = dripped = 0
    end = time.monotonic() + seconds
    while (moment := time.monotonic()) < end:
        for connection in connections:
            if connection.socket is None and connection.opened_at + HEAD_PAUSE_SECONDS < moment:
                connection.open()
                opened += 1
            elif connection.send_more():
                dripped += 1
        time.sleep(max(0.0, moment + HEADS / DRIPPED_BYTES_A_SECOND - time.monotonic()))
    return {"opened": opened, "dripped": dripped}


def hold_bodies(port: int, seconds: float) -> dict[str, int]:
    """Send requests without their body on BODIES connections, and reopen each every BODY_PAUSE_SECONDS."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (BODIES + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    connections = [Connection(port, BODY_HEAD) for _ in range(BODIES)]
    opened = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for connection in connections:
            if connection.opened_at + BODY_PAUSE_SECONDS < time.monotonic():
                connection.open()
                opened += 1
        time.sleep(0.02)
    return {"opened": opened}


if __name__ == "__main__":
    kind, port, seconds, *size = sys.argv[1:]
    if kind == "heads":
        print(json.dumps(drip_heads(int(port), float(seconds), int(size[0]))))
    else:
        print(json.dumps(hold_bodies(int(port), float(seconds))))
