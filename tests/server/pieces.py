"""The service with extra paths whose WSGI responses Flask would never produce, to test the worker."""

import io
import sys
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from authservice import create_app

LENGTHS = {
    "/length": 13,
    "/longer-than-said": 8,
    "/half": 1_000,
    "/chunks": None,
    "/crash": None,
    "/half-in-chunks": None,
    "/close": 13,
    "/half-and-close": 1_000,
    "/exit": None,
}
PIECES = [b"one ", b"", b"two ", b"three"]
WHOLE = b"".join(PIECES)
FILE = bytes(range(256)) * 1_000


def create() -> WSGIApplication:
    service = create_app()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/empty":
            start_response("204 No Content", [])
            return []
        if path == "/file":
            start_response("200 OK", [("Content-Length", str(len(FILE)))])
            wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(FILE), 8_192)
            return wrapped
        if path == "/upload":
            received = sum(map(len, iter(lambda: environ["wsgi.input"].read(5_000), b"")))
            start_response("200 OK", [("Content-Length", str(len(str(received))))])
            return [str(received).encode()]
        if path in LENGTHS:
            length = LENGTHS[path]
            start_response("200 OK", [("Content-Length", str(length))] if length else [])
            return Pieces(path)
        return service(environ, start_response)

    return app


class Pieces:
    def __init__(self, path: str) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        if self._path == "/crash":
            raise RuntimeError("before the first piece")
        if self._path == "/exit":
            sys.exit(3)
        yield from PIECES
        if "half" in self._path:
            raise RuntimeError("behind the last piece")

    def close(self) -> None:
        if "close" in self._path:
            raise RuntimeError("behind everything")
