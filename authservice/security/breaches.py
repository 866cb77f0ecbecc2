"""Whether a password has been published with a breach, by the range protocol of Pwned Passwords (k-anonymity).

Five of the 40 digits of the SHA-1 are sent, and all known hashes that begin with them come back. If no right answer
comes within a second, the password counts as unknown: a list that is away must not stop sign-ups.
Source: https://haveibeenpwned.com/API/v3#PwnedPasswords
"""

import hashlib
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from authservice import metrics

ANSWER_SECONDS = 1.0  # in all, from the name look-up to the last byte
LOG_PAUSE_SECONDS = 60.0
_PREFIX_DIGITS = 5
_LOOKUPS_MAX = 8  # at a time in a worker; a server that hangs holds no more threads than that
_BODY_MAX_BYTES = 1_000_000  # the largest ranges have some 100 KB
_LINE = re.compile(r"([0-9A-F]{35}):([0-9]{1,12})")

log = logging.getLogger(__name__)


class BreachCheck:
    """Asks the server at ``url``, such as https://api.pwnedpasswords.com/range."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._places = threading.BoundedSemaphore(_LOOKUPS_MAX)
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    def is_breached(self, password: str) -> bool:
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        prefix, suffix = digest[:_PREFIX_DIGITS], digest[_PREFIX_DIGITS:]
        if not self._places.acquire(blocking=False):
            return self._fail("busy")
        try:
            lookup = _Lookup(self._connection(), f"{self._url.path.rstrip('/')}/{prefix}", self._places)
            lookup.start()  # gives the place back at its end
        except Exception as error:  # such as a host name that is not one, or no thread is left
            self._places.release()
            return self._fail(type(error).__name__)
        lookup.join(ANSWER_SECONDS)
        if lookup.is_alive():
            lookup.abandon()
            return self._fail("timeout")
        counts = _counts(lookup.body)
        if not counts:
            return self._fail(lookup.failure or "not a range of hashes")
        is_known = counts.get(suffix, 0) > 0  # the server pads its answer with hashes that it has seen 0 times
        metrics.breach_checks.labels("breached" if is_known else "unknown").inc()
        return is_known

    def _connection(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._tls:
            return HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=self._tls)
        return HTTPConnection(host, port, timeout=ANSWER_SECONDS)

    def _fail(self, reason: str) -> bool:
        metrics.breach_checks.labels("failed").inc()
        with self._lock:
            now = time.monotonic()
            is_due = now >= self._quiet_until
            if is_due:
                self._quiet_until = now + LOG_PAUSE_SECONDS
        if is_due:
            log.warning("breach_check_failed", extra={"reason": reason})
        return False


def of_settings(settings: Mapping[str, Any]) -> BreachCheck | None:
    for outcome in ("breached", "unknown", "failed"):
        metrics.breach_checks.labels(outcome)  # Prometheus misses the first increase unless a counter starts at 0
    url = settings["BREACH_CHECK"]
    return None if url == "off" else BreachCheck(url)


class _Lookup(threading.Thread):
    """One request. A thread (under gunicorn a greenlet), because a socket's timeout starts again with each byte, and

    no timeout covers the name look-up.
    """

    def __init__(self, connection: HTTPConnection, path: str, places: threading.BoundedSemaphore) -> None:
        super().__init__(daemon=True)  # no process waits for it at its end
        self._connection = connection
        self._path = path
        self._places = places
        self.body = b""
        self.failure: str | None = None

    def run(self) -> None:
        headers = {"User-Agent": f"authservice/{version('authservice')}", "Add-Padding": "true"}
        try:
            self._connection.request("GET", self._path, headers=headers)
            response = self._connection.getresponse()
            if response.status != 200:  # http.client follows no redirect
                self.failure = f"status {response.status}"
            else:
                body = response.read(_BODY_MAX_BYTES)
                if (
                    response.length or len(body) == _BODY_MAX_BYTES
                ):  # http.client leaves it to us to see what is missing
                    self.failure = "cut off"
                else:
                    self.body = body
        except Exception as error:  # not only of the network: an odd host name is a UnicodeError
            self.failure = type(error).__name__
        finally:
            self._places.release()
            self._connection.close()

    def abandon(self) -> None:
        """Nobody waits any more: whatever it reads ends now."""
        with suppress(OSError, AttributeError):  # not connected yet, or not any more
            self._connection.sock.shutdown(socket.SHUT_RDWR)


def _counts(body: bytes) -> dict[str, int]:
    """How often each hash was seen, by its last 35 digits; nothing if a line is not as the protocol has it."""
    found = [_LINE.fullmatch(line) for line in body.decode("ascii", "replace").upper().split()]
    return {line[1]: int(line[2]) for line in found if line} if all(found) else {}
