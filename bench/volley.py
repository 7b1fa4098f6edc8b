"""The same request over many connections at once: all of it is sent before the first answer is read."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from bench import load
from bench.load import Reply

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(msgspec.Struct, frozen=True):
    """`seconds`: from when the volley was sent."""

    reply: Reply
    seconds: float


class Volley:
    """Costs next to no CPU time of its own, which the server it measures would be without."""

    def __init__(self, connections: list[_Connection]) -> None:
        self._connections = connections

    async def fire(self, payload: bytes) -> list[Answer]:
        """The answers, which have a `Content-Length` each."""
        sent = time.perf_counter()
        for _, writer in self._connections:
            writer.write(payload)
        return await asyncio.gather(*(_answer(reader, sent) for reader, _ in self._connections))


@asynccontextmanager
async def volley(port: int, ways: int) -> AsyncIterator[Volley]:
    """`ways` connections to 127.0.0.1:`port`. The server closes them where nothing is sent for 2 s."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(ways)]
    try:
        yield Volley(connections)
    finally:
        for _, writer in connections:
            writer.close()


async def _answer(reader: asyncio.StreamReader, sent: float) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(load.length_of(head))
    return Answer(Reply(int(head[9:12]), body), time.perf_counter() - sent)
