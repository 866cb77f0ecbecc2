"""The load client: keep-alive clients on one event loop that record every acknowledged response and check it later."""

import asyncio
import contextlib
import itertools
import json
import random
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.conftest import PASSWORD

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """A response, how long it took, and when it arrived (``time.monotonic``)."""

    status: int
    headers: dict[str, str]
    body: Any
    seconds: float
    moment: float

    @property
    def code(self) -> str | None:
        """The problem's code."""
        return self.body.get("code") if isinstance(self.body, dict) else None


class Unanswered(Exception):
    """No complete response arrived. The request may have been sent."""


class Refused(Unanswered):
    """The connection was refused, so the request was never sent."""


class Client:
    """A client with one keep-alive connection, which it reopens if the service closes it. ``address`` is its own."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        self._own = (address, 0)
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        """Raises Refused, Unanswered."""
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(sent)}"]
        if body is not None:
            lines.append("Content-Type: application/json")
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        question = ("\r\n".join(lines) + "\r\n\r\n").encode() + sent
        started = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, headers, content = await self._exchange(question)
        except BaseException as error:
            await self.close()
            if isinstance(error, Unanswered):
                raise
            if isinstance(error, OSError | EOFError | TimeoutError):
                raise Unanswered(f"{method} {path}: {error!r}") from None
            raise
        if headers.get("connection", "").lower() == "close":
            await self.close()
        moment = time.monotonic()
        return Answer(status, headers, json.loads(content) if content else None, moment - started, moment)

    async def _exchange(self, question: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()  # closed while idle: send the request on a new connection
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection(self._host, self._port, local_addr=self._own)
            except ConnectionRefusedError:
                raise Refused from None
        reader, writer = self._streams
        writer.write(question)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split(" ")[1]), headers, content

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


Behaviour = Callable[[Client, int], Awaitable[None]]


@dataclass
class Load:
    """Clients that send requests while a test breaks things: ``with Load(url) as load: load.start(load.sign_up, 8)``.

    It records whatever the service acknowledges, and ``read_back`` checks all of it.
    """

    url: str
    accounts: dict[str, str] = field(default_factory=dict)  # e-mail -> id, of every acknowledged sign-up
    tokens: dict[str, str] = field(default_factory=dict)  # access token -> e-mail, of every acknowledged sign-in
    ended: list[str] = field(default_factory=list)  # access tokens whose sign-out was acknowledged
    attempted: set[str] = field(default_factory=set)  # e-mails of all attempted sign-ups, one attempt each
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)
    pause_seconds: float = 0.005
    _over: threading.Event = field(default_factory=threading.Event)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _running: "list[Future[None]]" = field(default_factory=list)
    _lags: list[tuple[float, float]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._watch_the_machine(), self._loop)
        return self

    async def _watch_the_machine(self) -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(0.01)
            self._lags.append((asked, time.monotonic() - asked - 0.01))

    def lag_seconds(self, since: float) -> float:
        """The 99th percentile of how late the machine woke these clients, since ``since``.

        A busy machine delays the clients too, so time limits may be extended by this. It is a millisecond or two on an
        idle machine.
        """
        return percentile([lag for moment, lag in self._lags if moment >= since], 99)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            asyncio.run_coroutine_threadsafe(_cancel_the_others(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, what: Awaitable[Any]) -> Any:
        """Run an awaitable on the event loop of the clients and return its result."""

        async def whole() -> Any:
            return await what

        return asyncio.run_coroutine_threadsafe(whole(), self._loop).result()

    def start(
        self, behaviour: Behaviour, clients: int, pause_seconds: float | None = None, address: str = "127.0.0.1"
    ) -> None:
        """Run ``behaviour`` in ``clients`` clients, each with its own connection, until ``stop``."""
        pause = self.pause_seconds if pause_seconds is None else pause_seconds
        for _ in range(clients):
            self._running.append(asyncio.run_coroutine_threadsafe(self._keep(behaviour, pause, address), self._loop))

    def stop(self) -> None:
        """Let every client finish its request."""
        self._over.set()
        running, self._running = self._running, []
        for client in running:
            client.result()
        self._over.clear()

    async def _keep(self, behaviour: Behaviour, pause_seconds: float, address: str) -> None:
        client = Client(self.url, address)
        try:
            while not self._over.is_set():
                try:
                    await behaviour(client, next(self._numbers))
                except Refused:
                    if self._over.is_set():
                        return
                    self.failures.append((time.monotonic(), "refused"))
                    await asyncio.sleep(0.02)
                except Unanswered as error:
                    self.failures.append((time.monotonic(), str(error)))
                    await asyncio.sleep(0.02)
                await asyncio.sleep(pause_seconds * random.uniform(1, 1.5))  # spread the clients
        finally:
            await client.close()

    # Behaviours of clients

    async def sign_up(self, client: Client, number: int) -> None:
        """Each e-mail is tried once, so every 409 is wrong."""
        email = f"user-{number}@example.com"
        self.attempted.add(email)
        answer = await client.ask("POST", "/users", {"email": email, "password": PASSWORD})
        self.answers.append(("sign_up", answer))
        if answer.status == 201:
            self.accounts[email] = answer.body["id"]

    async def sign_in(self, client: Client, number: int) -> None:
        emails = list(itertools.islice(self.accounts, 50))
        if emails:
            email = emails[number % len(emails)]
            answer = await client.ask("POST", "/auth", {"email": email, "password": PASSWORD})
            self.answers.append(("sign_in", answer))
            if answer.status == 200:
                self.tokens[answer.body["token"]] = email

    async def sign_out(self, client: Client, number: int) -> None:
        """Sign in and out. The session must stay ended."""
        emails = list(itertools.islice(self.accounts, 50))
        if emails:
            signed_in = await client.ask(
                "POST", "/auth", {"email": emails[number % 50 % len(emails)], "password": PASSWORD}
            )
            if signed_in.status == 200:
                token = signed_in.body["token"]
                answer = await client.ask("DELETE", "/auth", token=token)
                self.answers.append(("sign_out", answer))
                if answer.status == 204:
                    self.ended.append(token)

    def pass_guard(self, token: str) -> Behaviour:
        return self.get("guarded", "/users/test", token)

    def get(self, name: str, path: str, token: str | None = None) -> Behaviour:
        async def ask(client: Client, number: int) -> None:
            self.answers.append((name, await client.ask("GET", path, token=token)))

        return ask

    # Results

    def of(self, name: str) -> list[Answer]:
        return [answer for kind, answer in self.answers if kind == name]

    def statuses(self, name: str) -> set[int]:
        return {answer.status for answer in self.of(name)}

    def read_back(self, clients: int = 8) -> None:
        """Check that every acknowledged account can sign in, every ended session is refused and all others work."""

        async def whole() -> None:
            accounts, tokens, ended = iter(list(self.accounts.items())), iter(list(self.tokens)), iter(list(self.ended))

            async def one() -> None:
                client = Client(self.url)
                try:
                    for email, identity in accounts:
                        answer = await client.ask("POST", "/auth", {"email": email, "password": PASSWORD})
                        assert answer.status == 200, (email, answer)
                        assert answer.body["user"]["id"] == identity, email
                        me = await client.ask("GET", "/users/me", token=answer.body["token"])
                        assert (me.status, me.body["email"]) == (200, email)
                    for token in tokens:
                        answer = await client.ask("GET", "/users/me", token=token)
                        assert (answer.status, answer.body["email"]) == (200, self.tokens[token])
                    for token in ended:
                        answer = await client.ask("GET", "/users/me", token=token)
                        assert (answer.status, answer.code) == (401, "token_invalid")
                finally:
                    await client.close()

            await asyncio.gather(*(one() for _ in range(clients)))

        self.run(whole())


async def _cancel_the_others() -> None:
    """Cancel the requests that a failed test may have left running."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that ``percent`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
