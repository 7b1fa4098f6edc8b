"""What is set on the server below the framework."""

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState
from uvicorn_worker import UvicornWorker

from shared.http import server
from shared.http.server import OnePacket


class Connection(asyncio.Transport):
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711)})
        self.told: list[Any] = []
        self.gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))

    def close(self) -> None:
        self.told.append("close")
        self.gone = True

    def is_closing(self) -> bool:
        return self.gone

    def pause_reading(self) -> None:
        self.told.append("pause")

    def resume_reading(self) -> None:
        self.told.append("resume")


async def _turn() -> None:
    await asyncio.sleep(0)


def test_what_is_written_in_one_turn_leaves_together() -> None:
    async def story() -> None:
        connection = Connection()
        held = OnePacket(connection, asyncio.get_running_loop())
        held.write(b"head, ")
        held.write(bytearray(b"body"))
        assert connection.told == []
        await _turn()
        held.write(b"next")
        await _turn()
        await _turn()
        assert connection.told == [b"head, body", b"next"]

    asyncio.run(story())


def test_what_was_written_leaves_before_the_end() -> None:
    async def story() -> None:
        connection = Connection()
        held = OnePacket(connection, asyncio.get_running_loop())
        held.write(b"last words")
        held.close()
        await _turn()
        assert connection.told == [b"last words", "close"]
        assert held.is_closing()

    asyncio.run(story())


def test_nothing_is_written_to_who_has_gone() -> None:
    """uvloop raises then, in a callback that nobody watches."""

    async def story() -> None:
        connection = Connection()
        held = OnePacket(connection, asyncio.get_running_loop())
        held.write(b"too late")
        connection.gone = True
        await _turn()
        held.close()
        assert connection.told == ["close"]

    asyncio.run(story())


def test_the_rest_is_the_connections_own() -> None:
    async def story() -> None:
        connection = Connection()
        held = OnePacket(connection, asyncio.get_running_loop())
        held.pause_reading()
        held.resume_reading()
        assert connection.told == ["pause", "resume"]
        assert held.get_extra_info("peername") == ("192.0.2.1", 4711)
        assert held.get_extra_info("sslcontext", "none") == "none"

    asyncio.run(story())


def test_nothing_is_read_while_requests_wait_for_their_turn() -> None:
    """Else whoever asks and takes no answers fills the memory."""

    async def story() -> None:
        connection, may_answer = Connection(), asyncio.Semaphore(0)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await may_answer.acquire()
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        server.configure()
        config = uvicorn.Config(app, **UvicornWorker.CONFIG_KWARGS, log_config=None)
        config.load()
        protocol = UvicornWorker.CONFIG_KWARGS["http"](config, ServerState(), {}, asyncio.get_running_loop())
        protocol.connection_made(connection)
        protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na" * 3)
        for answered, flow in ((1, ["pause"]), (2, ["pause", "resume"]), (3, ["pause", "resume"])):
            may_answer.release()
            for _ in range(10):
                await _turn()
            assert [each for each in connection.told if isinstance(each, str)] == flow
            assert b"".join(filter(bytes.__instancecheck__, connection.told)).count(b" 204 ") == answered

    asyncio.run(story())


CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on", "ends"),
    [
        (b"GET / HTTP/1.1\r\nX-Long: ", b"a" * 65_536, True),
        (b"GET / HTTP/1.1\r\n", b"x:\r\n" * 16_384, True),
        (b"GET /", b"a" * 65_536, True),
        (CHUNKED + b"1;", b"a" * 65_536, True),
        (CHUNKED + b"0\r\n", b"x: y\r\n" * 10_923, True),
        (CHUNKED, b"10000\r\n" + b"a" * 65_536 + b"\r\n", False),
        (b"", b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 65_000 + b"\r\n\r\n", False),
    ],
)
def test_what_never_becomes_whole_is_not_kept_for_ever(begins: bytes, goes_on: bytes, ends: bool) -> None:
    """Else one connection fills the memory: 40 MB of a header took 70, before anybody had looked at it."""

    async def story() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        connection, protocol = _connected(app)
        protocol.data_received(begins)
        for _ in range(3):
            await _turn()
            protocol.data_received(goes_on)
        assert connection.gone is False
        for _ in range(4):
            await _turn()
            if not connection.gone:
                protocol.data_received(goes_on)
        assert connection.gone is ends

    asyncio.run(story())


def _connected(app: Any) -> tuple[Connection, Any]:
    server.configure()
    config = uvicorn.Config(app, **UvicornWorker.CONFIG_KWARGS, log_config=None)
    config.load()
    connection = Connection()
    protocol = UvicornWorker.CONFIG_KWARGS["http"](config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(connection)
    return connection, protocol
