"""How far a command is, in one line on stderr that is written again and again. None where nobody would see it."""

import sys
import time
from collections.abc import Callable

import click

_EVERY_SECONDS = 0.2
_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """``what`` is a plural with an s. ``fraction`` tells how much is done; None if that is not known."""

    def __init__(self, what: str, fraction: Callable[[], float | None]) -> None:
        self._what, self._fraction = what, fraction
        self._is_shown = sys.stderr.isatty() and sys.stdout.isatty()
        self._started = self._next = time.monotonic()
        self._count = 0

    def add(self, count: int = 1) -> None:
        self._count += count
        if self._is_shown and (moment := time.monotonic()) >= self._next:
            self._next = moment + _EVERY_SECONDS
            click.echo(_CLEAR_LINE + self._line(moment - self._started), nl=False, err=True)

    def end(self) -> None:
        if self._is_shown:
            click.echo(_CLEAR_LINE, nl=False, err=True)

    def _line(self, seconds: float) -> str:
        what = self._what.removesuffix("s") if self._count == 1 else self._what
        line = f"{self._count:,} {what}  {self._count / max(seconds, 0.001):,.0f}/s"
        fraction = self._fraction()
        if not fraction:
            return line
        left = round(seconds / fraction - seconds)
        return f"{line}  {fraction:.0%}  {left // 60}:{left % 60:02} left"
