"""How uvicorn is set below the framework, which names a worker class of its own and takes no settings."""

import asyncio
from collections.abc import Sized
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker


def configure() -> None:
    """For the server that this process becomes. Without WebSockets, and without taking a client's word for
    its address, which `Limits.trusted_hops` is about.
    """
    UvicornWorker.CONFIG_KWARGS |= {"http": _Protocol, "ws": "none", "proxy_headers": False}


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OnePacket(transport, self.loop))
        self.flow = _InTurn(self.transport, self.pipeline)


class _InTurn(FlowControl):
    """Reads on once nothing `waits` behind the request that is being answered: uvicorn does after each
    answer, and so keeps all that somebody sends who takes no answers.
    """

    def __init__(self, connection: asyncio.Transport, waits: Sized) -> None:
        super().__init__(connection)
        self._waits = waits

    def resume_reading(self) -> None:
        if not self._waits:
            super().resume_reading()


class OnePacket(asyncio.Transport):
    """A connection on which what is written in one turn of the loop leaves together.

    An answer's head and body are written one after the other, and uvloop sends each at once: two system
    calls, two packets, and a client that wakes up for half an answer.
    """

    def __init__(self, connection: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._connection = connection
        self._loop = loop
        self._held: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)

    def close(self) -> None:
        self._send()
        self._connection.close()

    def _send(self) -> None:
        held, self._held = self._held, []
        if held and not self._connection.is_closing():
            self._connection.write(b"".join(held))

    def is_closing(self) -> bool:
        return self._connection.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._connection.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._connection.pause_reading()

    def resume_reading(self) -> None:
        self._connection.resume_reading()
