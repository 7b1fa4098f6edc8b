"""What consumers say that they have left to do, and when that means that nothing is left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from local import status
from local.ports import HOST, Reservation
from local.status import Status
from shared.bus.tables import Leased
from shared.errors import Unavailable

pytestmark = pytest.mark.anyio


class Told:
    """A `broker.Subscriber` that says what it is told to, the last of it for ever; None: an outage."""

    def __init__(self, *said: tuple[int, int] | None) -> None:
        self.leased_count = 0
        self._said = list(said)

    async def pending(self) -> int:
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        if said is None:
            raise Unavailable("bus_unavailable", "No answer.")
        pending, self.leased_count = said
        return pending

    async def lease(self, limit: int) -> list[Leased]:
        return []

    async def wait(self) -> None: ...

    async def ack(self, leased: Leased) -> None: ...

    async def nack(self, leased: Leased) -> None: ...

    async def release(self, leased: Leased) -> None: ...

    async def close(self) -> None: ...


Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Gives the URL of a consumer with the given subscribers."""
    serving: list[asyncio.Task[None]] = []

    async def start(*subscribers: Told) -> str:
        port = Reservation.take()
        named = {f"s{number}": subscriber for number, subscriber in enumerate(subscribers)}
        serving.append(asyncio.create_task(status.serve(port.port, named)))
        await asyncio.sleep(0.05)
        port.release()
        return f"http://{HOST}:{port.port}"

    yield start
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


async def drained(*urls: str) -> bool:
    return await asyncio.to_thread(status.are_drained, urls)


async def test_it_says_what_each_subscription_has_left_and_what_was_leased(serve: Serve) -> None:
    url = await serve(Told((2, 5)), Told((0, 1)))
    assert await asyncio.to_thread(status.read, url) == Status({"s0": 2, "s1": 0}, 6)


async def test_nothing_is_left_when_all_say_so_twice_and_did_nothing_meanwhile(serve: Serve) -> None:
    idle = await serve(Told((0, 3)), Told((0, 0)))
    busy = await serve(Told((0, 3)), Told((1, 3)))
    working = await serve(Told((0, 3), (0, 4)))
    filled = await serve(Told((0, 3), (1, 3)))
    assert await drained(idle)
    assert not await drained(idle, busy)
    assert not await drained(idle, working)
    assert not await drained(idle, filled)


async def test_who_does_not_answer_is_not_known_to_have_nothing_left(serve: Serve) -> None:
    idle, out = await serve(Told((0, 0))), await serve(Told(None))
    assert not await drained(idle, out)
    assert not await drained(idle, "http://127.0.0.1:1")


async def test_who_asks_badly_or_hangs_up_keeps_nobody_else_from_an_answer(serve: Serve) -> None:
    url = await serve(Told((0, 0)))
    host, port = url.removeprefix("http://").split(":")
    for said in (b"", b"GET /pend", b"\x00" * 100_000 + b"\r\n\r\n", b"GET /pending HTTP/2.0\r\n\r\n"):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(said)
        writer.close()
    assert await drained(url)
