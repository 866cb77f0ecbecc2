"""Opens an export, a file or stdin, as it is or packed with gzip, and hands its text out in pieces."""

import contextlib
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

STDIN = "-"
RECORD_MAX_CHARACTERS = 16 * 1024 * 1024  # MongoDB stores no larger document either
_PIECE_CHARACTERS = 1024 * 1024
_GZIP = b"\x1f\x8b"


class FaultyExport(Exception):
    """An export that cannot be read any further. The text says where and why, and holds no value of the export."""


class Feed:
    """The text of one export. ``buffer`` is what has been read and not been used.

    Bytes that are not UTF-8 become lone surrogates (PEP 383), which ``is_utf8`` finds: one bad record does not make the
    others unreadable.
    """

    def __init__(self, name: str, packed: BinaryIO, size: int | None) -> None:
        self.name = name
        self.size = size  # None for a pipe
        self.buffer = ""
        self._packed = packed
        self._buffered = io.BufferedReader(cast(io.RawIOBase, packed))
        whole: BinaryIO = self._buffered
        if self._buffered.peek(2).startswith(_GZIP):
            whole = cast(BinaryIO, gzip.GzipFile(fileobj=self._buffered))
        self._text = io.TextIOWrapper(whole, encoding="utf-8-sig", errors="surrogateescape")

    def position(self) -> int:
        """How many bytes of the file have been read."""
        return self._packed.tell() if self.size is not None else 0

    def fill(self) -> bool:
        """Read more. False at the end."""
        try:
            piece = self._text.read(_PIECE_CHARACTERS)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            lost = f"up to {_PIECE_CHARACTERS:,} characters before the fault are not read either"
            raise FaultyExport(f"{self.name}: the gzip data is damaged or cut off, and {lost}") from None
        except OSError as error:
            raise FaultyExport(f"{self.name}: {error.strerror or type(error).__name__}") from None
        self.buffer += piece
        return bool(piece)

    def peek(self, characters: int) -> str:
        """The next characters, fewer at the end."""
        while len(self.buffer) < characters and self.fill():
            pass
        return self.buffer[:characters]

    def lines(self) -> Iterator[str]:
        """Each with its line break. Raises FaultyExport for one that is too long to be a record."""
        while True:
            *whole, self.buffer = self.buffer.split("\n")
            for line in whole:
                yield f"{line}\n"
            if len(self.buffer) > RECORD_MAX_CHARACTERS:
                raise FaultyExport(f"{self.name}: a line of more than {RECORD_MAX_CHARACTERS:,} characters")
            if not self.fill():
                break
        if self.buffer:
            yield self.buffer
            self.buffer = ""

    def let_go(self) -> None:
        """Leave the file to its owner, who closes it."""
        self._text.detach()
        self._buffered.detach()


@contextlib.contextmanager
def opened(path: str) -> Iterator[Feed]:
    """``path`` may be STDIN. Raises FaultyExport."""
    if path == STDIN:
        feed = Feed("stdin", _stdin(), None)
        try:
            yield feed
        finally:
            feed.let_go()
        return
    with _open(path) as file:
        found = os.fstat(file.fileno())
        yield Feed(path, file, found.st_size if stat.S_ISREG(found.st_mode) else None)


def require_readable(path: str) -> None:
    """Raises FaultyExport. A pipe is not opened: its text can be read once."""
    if path == STDIN:
        _stdin()
    elif not Path(path).is_fifo():
        _open(path).close()


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise FaultyExport("stdin: closed")
    return sys.stdin.buffer


def _open(path: str) -> BinaryIO:
    try:
        return cast(BinaryIO, Path(path).open("rb", buffering=0))
    except OSError as error:
        raise FaultyExport(f"{path}: {error.strerror}") from None


def is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def total_bytes(paths: Sequence[str]) -> int | None:
    """None if one of them is a pipe, or cannot be read."""
    try:
        found = [Path(path).stat() for path in paths if path != STDIN]
    except OSError:
        return None
    if len(found) < len(paths) or not all(stat.S_ISREG(one.st_mode) for one in found):
        return None
    return sum(one.st_size for one in found)
