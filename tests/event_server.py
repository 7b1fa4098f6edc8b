"""A small HTTP server that a relay pushes to: it keeps what came and answers what it is told."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

Answer = int | Literal["drop"]


class Push(msgspec.Struct, frozen=True):
    """One request, its header names in lower case."""

    target: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.raw)

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.body["message"]["data"])


class EventServer:
    """`answer` decides about each push; `busiest` is how many were answered at the same time."""

    def __init__(self, answer: Callable[[Push], Awaitable[Answer]] | None = None) -> None:
        self.pushes: list[Push] = []
        self.busiest = 0
        self._answer = answer
        self._busy = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> str:
        """Returns its base URL."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._connections):
                writer.close()
            await self._server.wait_closed()

    @property
    def datas(self) -> list[bytes]:
        return [push.data for push in self.pushes]

    async def until(self, reached: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not reached():  # noqa: ASYNC110 - any condition of a test
                await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers["content-length"]))
        push = Push(head[0], headers, raw)
        self.pushes.append(push)
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            answer = await self._answer(push) if self._answer else 204
        finally:
            self._busy -= 1
        if answer == "drop":
            return False
        length = "" if answer == 204 else "Content-Length: 0\r\n"
        writer.write(f"HTTP/1.1 {answer} X\r\n{length}\r\n".encode())
        await writer.drain()
        return True
