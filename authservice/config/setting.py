"""One row of the table of settings, and the checks that several rows share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One FLASK_* variable. ``default`` is text, as in the environment; None if there is no default.

    ``takes_object``: an override may be the object that the text would name. ``is_private``: nobody but its owner may
    read the file of the value. ``made_by``: the command that makes the file.
    """

    name: str
    parse: Callable[[str], Any]
    default: str | None
    meaning: str
    takes_object: bool = False
    is_private: bool = False
    made_by: str | None = None


def integer(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}, not {text[:40]!r}")
        return int(text)

    return parse


def one_of(first: str, second: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in (first, second):
            raise ValueError(f"must be {first} or {second}, not {text[:40]!r}")
        return text

    return parse


def absolute_path(text: str) -> str:
    if not Path(text).is_absolute():
        raise ValueError(f"must be an absolute path, not {text[:80]!r}")
    return text
