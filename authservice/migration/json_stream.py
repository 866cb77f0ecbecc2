"""Reads JSON of any size one record at a time, and knows the line of each.

The json module decodes each record, so that it costs no more than a file with one record a line.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from authservice.migration.feed import RECORD_MAX_CHARACTERS, FaultyExport, Feed, is_utf8
from authservice.migration.moved import Unreadable

_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)  # NaN and Infinity, which are no JSON, read as null
_LENIENT = json.JSONDecoder(parse_constant=lambda _: None, parse_int=lambda _: 0)
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
NOT_JSON = Unreadable("not JSON")


class Read(NamedTuple):
    """A value, the line on which it begins, and whether its bytes are UTF-8."""

    line: int
    value: Any
    is_utf8: bool


class JSONStream:
    """A position in the text of an export."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._at = 0  # in the buffer of the feed
        self._line = 1

    @property
    def line(self) -> int:
        return self._line

    def next(self) -> str:
        """The next character that is not white space, without taking it; empty at the end."""
        while True:
            buffer, start = self._feed.buffer, self._at
            while self._at < len(buffer) and buffer[self._at] in _SPACE:
                self._at += 1
            self._line += buffer.count("\n", start, self._at)
            if self._at < len(buffer):
                return buffer[self._at]
            if not self._fill():
                return ""

    def take(self, character: str) -> None:
        if self.next() != character:
            self.refuse(f"expected {character}" if self.next() else "the file ends too early")
        self._at += 1

    def value(self) -> Read:
        """The next value as a whole."""
        self.next()
        while True:
            buffer = self._feed.buffer
            fault: Exception | None = None
            try:
                value, end = _decoded(buffer, self._at)
            except (ValueError, RecursionError) as error:
                fault = error
            # a number at the end of the buffer may go on
            if fault is None and (end < len(buffer) or not self._fill()):
                break
            if fault is not None and not self._fill_twice():
                self._refuse_at(fault)
        text = self._feed.buffer[self._at : end]
        read = Read(self._line, value, is_utf8(text))
        self._line += text.count("\n")
        self._at = end
        return read

    def refuse(self, why: str) -> NoReturn:
        raise FaultyExport(f"{self._feed.name}, line {self._line}: {why}")

    def _refuse_at(self, fault: Exception) -> NoReturn:
        """What the decoder says names no value."""
        line, what = self._line, "nested too deeply" if isinstance(fault, RecursionError) else "not JSON"
        if isinstance(fault, json.JSONDecodeError):
            line += self._feed.buffer.count("\n", self._at, fault.pos)
            what = f"not JSON: {fault.msg[0].lower()}{fault.msg[1:]}"
        raise FaultyExport(f"{self._feed.name}, line {line}: {what}")

    def _fill_twice(self) -> bool:
        """Read as much again as is there, so that a long value is not decoded again and again."""
        wanted = 2 * (len(self._feed.buffer) - self._at)
        if wanted > 2 * RECORD_MAX_CHARACTERS:
            raise FaultyExport(
                f"{self._feed.name}, line {self._line}: a record of more than {RECORD_MAX_CHARACTERS:,} characters, "
                "or one that does not end"
            )
        is_more = self._fill()
        while is_more and len(self._feed.buffer) < wanted and self._fill():
            pass
        return is_more

    def _fill(self) -> bool:
        self._feed.buffer = self._feed.buffer[self._at :]
        self._at = 0
        return self._feed.fill()


def _decoded(text: str, start: int) -> tuple[Any, int]:
    """The value at ``start`` and its end. A value that is JSON and cannot be held is Unreadable, and has an end too."""
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of thousands of digits
        return NOT_JSON, _LENIENT.raw_decode(text, start)[1]
    except RecursionError as error:
        depth = 0
        for found in _STRUCTURE.finditer(text, start):
            mark = found[0]
            if mark == '"':
                break
            depth += (mark in "[{") - (mark in "]}")
            if not depth:
                return NOT_JSON, found.end()
        raise error


def records(stream: JSONStream, path: tuple[str, ...]) -> Iterator[Read]:
    """The elements of an array, or of the array under ``path`` in an object.

    In an array of objects that contain the array, as Keycloak exports several realms, each of them is opened.
    """
    if stream.next() == "[":
        yield from _elements(stream, path)
    elif path:
        yield from _members(stream, path, may_be_record=False)
    else:
        stream.refuse("one JSON object, where an array of users or one user a line is expected")
    if stream.next():
        stream.refuse("more follows after the end of the JSON")


def _elements(stream: JSONStream, path: tuple[str, ...]) -> Iterator[Read]:
    stream.take("[")
    if stream.next() == "]":
        stream.take("]")
        return
    while True:
        if path and stream.next() == "{":
            yield from _members(stream, path, may_be_record=True)
        else:
            yield stream.value()
        if stream.next() == "]":
            stream.take("]")
            return
        stream.take(",")


def _members(stream: JSONStream, path: tuple[str, ...], *, may_be_record: bool) -> Iterator[Read]:
    """An object that has the array, or is itself a record. Its other members are only kept if it is."""
    stream.take("{")
    line, members, is_found, is_text = stream.line, {}, False, True
    unreadable: Unreadable | None = None
    is_empty = stream.next() == "}"
    while not is_empty:
        key = stream.value()
        if not isinstance(key.value, str):
            stream.refuse("expected a name in quotes")
        stream.take(":")
        if key.value == path[0] and stream.next() in ("[", "{") and (len(path) > 1 or stream.next() == "["):
            is_found = True
            inner = path[1:]
            yield from (
                _elements(stream, inner) if stream.next() == "[" else _members(stream, inner, may_be_record=False)
            )
        else:
            read = stream.value()
            is_text = is_text and read.is_utf8
            if isinstance(read.value, Unreadable):
                unreadable = read.value
            if may_be_record:
                members[key.value] = read.value
        if stream.next() != ",":
            break
        stream.take(",")
    stream.take("}")
    if is_found:
        return
    if not may_be_record:
        stream.refuse(f"the object has no array {'.'.join(path)}")
    yield Read(line, unreadable or members, is_text)
