"""A TCP proxy between service and database that delays, resets, drops or changes data."""

import asyncio
import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """A test may change ``mode`` at any time.

    pass: forward everything. slow: delay each answer of the database by 200 ms. reset: reset the connection at every
    fifth answer or new connection. hole: forward nothing and close nothing.
    """

    DELAY_SECONDS = 0.2

    def __init__(self, port: int) -> None:
        self._behind = port
        self._answers = 0
        self.mode = "pass"
        self.replaced: dict[bytes, bytes] = {}  # in the answers of the database

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            self._server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind: asyncio.StreamWriter | None = None
        try:
            if self._is_to_be_reset():
                _reset(writer)
                return
            database, behind = await asyncio.open_connection("127.0.0.1", self._behind)
            asking = asyncio.create_task(self._ask(reader, behind))
            try:
                await self._answer(database, writer)
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for stream in (writer, behind):
                if stream is not None:
                    stream.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, database: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while question := await reader.read(65_536):
                if self.mode != "hole":
                    database.write(question)
        database.close()

    async def _answer(self, database: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await database.read(65_536):
            if self.mode == "slow":
                await asyncio.sleep(self.DELAY_SECONDS)
            if self._is_to_be_reset():
                _reset(writer)  # the database has done the write, but the service never learns it
                return
            for bytes_there, bytes_here in self.replaced.items():
                answer = answer.replace(bytes_there, bytes_here)
            if self.mode != "hole":
                writer.write(answer)

    def _is_to_be_reset(self) -> bool:
        self._answers += self.mode == "reset"
        return self.mode == "reset" and self._answers % 5 == 0


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
