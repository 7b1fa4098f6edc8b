"""Settings of uvicorn below the framework, which uses a worker class of its own and offers none."""

import asyncio
from collections.abc import Sized
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker


def configure() -> None:
    """Call before the server starts. Switches off WebSockets, and uvicorn's own reading of forwarded
    addresses (`Limits.trusted_hops` says which are trusted).
    """
    UvicornWorker.CONFIG_KWARGS |= {"http": _Protocol, "ws": "none", "proxy_headers": False}


MAX_UNHEARD_BYTES = 262_144
"""Of one connection, without a head or some more of a body that is whole. The parser keeps a header until it
ends, and trailers, however long they are.
"""


class _Protocol(HttpToolsProtocol):
    _unheard = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OnePacket(transport, self.loop))
        self.flow = _InTurn(self.transport, self.pipeline)

    def data_received(self, data: bytes) -> None:
        self._unheard += len(data)
        super().data_received(data)
        if self._unheard > MAX_UNHEARD_BYTES and not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        self._unheard = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)


class _InTurn(FlowControl):
    """Resumes reading only when no pipelined request `waits` behind the one that is being answered. uvicorn
    resumes after each answer, and so buffers without limit what is sent by a client that reads no answers.
    """

    def __init__(self, connection: asyncio.Transport, waits: Sized) -> None:
        super().__init__(connection)
        self._waits = waits

    def resume_reading(self) -> None:
        if not self._waits:
            super().resume_reading()


class OnePacket(asyncio.Transport):
    """A connection that sends all writes of one turn of the event loop together.

    The head and body of an answer are two writes, which uvloop would send at once and separately: two system
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
