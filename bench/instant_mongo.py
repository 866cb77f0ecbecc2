"""A MongoDB-wire server that costs almost nothing: a few users in memory, read-only.

``python -m bench.instant_mongo PORT`` reads their documents as BSON from its standard input. It shows what the services
themselves can do, where the embedded server on the same two cores would be most of what is measured.
Source: MongoDB's specification of the wire protocol, OP_MSG, and OP_QUERY for a driver's first word.
"""

import asyncio
import struct
import sys
from collections.abc import Callable
from typing import Any

import bson
import uvloop
from bson.raw_bson import RawBSONDocument

HEADER = struct.Struct("<iiii")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HELLO = {
    "ok": 1.0, "helloOk": True, "isWritablePrimary": True, "ismaster": True, "minWireVersion": 0, "maxWireVersion": 21,
    "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
    "logicalSessionTimeoutMinutes": 30, "readOnly": False,
}  # fmt: skip


class Answers:
    """The reply to a command. Replies that never change are encoded once."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self._by = {field: {document[field]: document for document in documents} for field in ("_id", "email")}
        self._found: dict[tuple[Any, ...], RawBSONDocument] = {}
        self._hello = bson.encode(HELLO)
        self._done = bson.encode({"ok": 1.0})

    def to(self, command: dict[str, Any]) -> bytes:
        name = next(iter(command))
        if name == "find":
            return self._find(command["filter"], command.get("projection", {}))
        if name == "aggregate":
            return self._cursor([])
        return self._hello if name in ("hello", "ismaster", "isMaster") else self._done

    def _find(self, condition: dict[str, Any], projection: dict[str, int]) -> bytes:
        field = "_id" if "_id" in condition else "email"
        one = condition.get(field, {})
        wanted = one.get("$in", []) if isinstance(one, dict) else [one]  # deliverers ask otherwise, and no mail waits
        names = ("_id", *projection) if projection else ()
        batch = [self._project(self._by[field][key], names) for key in wanted if key in self._by[field]]
        return self._cursor(batch)

    def _cursor(self, batch: list[RawBSONDocument]) -> bytes:
        return bson.encode({"cursor": {"firstBatch": batch, "id": bson.Int64(0), "ns": "authexample.users"}, "ok": 1.0})

    def _project(self, document: dict[str, Any], names: tuple[str, ...]) -> RawBSONDocument:
        key = document["_id"], names
        if key not in self._found:
            kept = {name: value for name, value in document.items() if name in names or not names}
            self._found[key] = RawBSONDocument(bson.encode(kept))
        return self._found[key]


class Connection(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._write: Callable[[bytes], None] = transport.write

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= HEADER.size:
            length, number, _, kind = HEADER.unpack_from(self._received)
            if len(self._received) < length:
                return
            self._answer(number, kind, self._received[HEADER.size : length])
            self._received = self._received[length:]

    def _answer(self, number: int, kind: int, message: bytes) -> None:
        if kind == OP_MSG:  # flags, the kind of section, the document
            said = b"\0\0\0\0\0" + self._answers.to(bson.decode(message[5:]))
            self._write(HEADER.pack(HEADER.size + len(said), 0, number, OP_MSG) + said)
        elif kind == OP_QUERY:  # flags, the collection's name, two numbers, the document
            said = struct.pack("<iqii", 8, 0, 0, 1) + self._answers.to(bson.decode(message[message.index(0, 4) + 9 :]))
            self._write(HEADER.pack(HEADER.size + len(said), 0, number, OP_REPLY) + said)


async def main() -> None:
    answers = Answers(bson.decode_all(sys.stdin.buffer.read()))
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
