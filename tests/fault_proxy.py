"""A TCP proxy in front of an HTTP/2 (gRPC) server that can be told to go wrong."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto

_PREFACE = 24
"""What a client sends before its first frame (RFC 9113 §3.4)."""
_HEADER = 9
_END_STREAM = 0x1
_DATA, _HEADERS = 0x0, 0x1


class Fault(Enum):
    """What happens to connections, present and new."""

    NONE = auto()
    LOST_REPLIES = auto()
    """Calls reach the server; when one is answered, the answer is dropped and the connection reset."""
    LOST_REQUESTS = auto()
    """The connection is reset when a call is made, of which the server sees nothing."""
    HALF_DEAD = auto()
    """Calls reach the server, no answer comes back; such a connection stays dead for ever."""
    BLACKHOLE = auto()
    """Nothing passes until the fault is over, then all of it does."""
    RESET = auto()
    """Connections are reset as soon as anything comes."""


class FaultProxy:
    """`fault` may be set at any time. `losses` counts the connections that it cost; each one sets `lost`.

    `connections` counts all that there were.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._fault = Fault.NONE
        self._open = asyncio.Event()
        self._open.set()
        self._links: set[_Link] = set()
        self._accepting: set[asyncio.Task[None]] = set()
        self.address = ""
        self.connections = 0
        self.losses = 0
        self.lost = asyncio.Event()

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.BLACKHOLE:
            self._open.clear()
        else:
            self._open.set()

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return server

    async def end(self) -> None:
        """Resets every connection."""
        for link in self._links:
            link.reset()
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        host, _, port = self._upstream.rpartition(":")
        try:
            server_reader, server_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pump(link, reader, server_writer, replies=False),
                self._pump(link, server_reader, writer, replies=True),
            )
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(
        self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        frames = _Frames(0 if replies else _PREFACE)
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._open.wait()
                passed = self._passed(link, frames.split(data), replies=replies)
                if passed is None:
                    self.losses += 1
                    self.lost.set()
                    break
                writer.write(passed)
                await writer.drain()
        link.reset()

    def _passed(self, link: "_Link", frames: Iterator[bytes], *, replies: bool) -> bytes | None:
        """What goes on; None where the connection is to be reset."""
        passed = bytearray()
        for frame in frames:
            if self._fault is Fault.RESET or (
                self._fault is Fault.LOST_REQUESTS and not replies and _is_of_a_call(frame)
            ):
                return None
            if self._fault is Fault.HALF_DEAD and replies:
                link.dead = True
            if self._fault is Fault.LOST_REPLIES and replies and _is_of_a_call(frame):
                if _ends_a_call(frame):
                    return None
                continue
            if not (link.dead and replies):
                passed += frame
        return bytes(passed)


class _Link:
    """One connection of a client with its own to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)
        self.dead = False

    def reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class _Frames:
    """Cuts a byte stream into whole frames; the first `skipped` bytes are one."""

    def __init__(self, skipped: int) -> None:
        self._rest = bytearray()
        self._skipped = skipped

    def split(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        while (size := self._size()) and len(self._rest) >= size:
            yield bytes(self._rest[:size])
            del self._rest[:size]
            self._skipped = 0

    def _size(self) -> int:
        if self._skipped:
            return self._skipped
        return _HEADER + int.from_bytes(self._rest[:3], "big") if len(self._rest) >= _HEADER else 0


def _is_of_a_call(frame: bytes) -> bool:
    """Not of the connection itself, whose frames have stream 0."""
    return not frame.startswith(b"PRI") and frame[5:9] != b"\0\0\0\0"


def _ends_a_call(frame: bytes) -> bool:
    return frame[3] in (_DATA, _HEADERS) and bool(frame[4] & _END_STREAM)


@asynccontextmanager
async def fault_proxy(upstream: str) -> AsyncIterator[FaultProxy]:
    """One in front of `host:port`; `address` is where clients connect."""
    proxy = FaultProxy(upstream)
    server = await proxy.serve()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
