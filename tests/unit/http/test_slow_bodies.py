"""Who sends his body slowly waits in nobody's way."""

import asyncio
from collections.abc import Mapping

from shared.errors import Error, Unauthenticated
from shared.http import PUBLIC, SIGNED_IN, Call, Response, Route, json_response
from shared.http.app import ReadBody
from shared.http.limits import Limits
from tests.door import GONE, NEVER, Answer, Door, Headers

HALF = [("content-type", "application/json"), ("content-length", "10")]
DAY = 86_400.0
LIMITS = Limits(running=2, waiting=1, receiving=4, body_seconds=DAY, handler_seconds=DAY)


class Told:
    """A handler that says how long the body was, and how many of it ran at once after that."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, call: Call) -> Response:
        length = len(await call.body())
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.gate.wait()
        self.inside -= 1
        return json_response(length)


class Typed:
    async def __call__(self, call: Call) -> Response:
        return json_response(await call.json(list[int]))


class Events:
    async def handle(self, headers: Mapping[str, str], read_body: ReadBody, flaw: Error | None) -> Response:
        if "authorization" not in headers:
            raise Unauthenticated("caller_unproven", "No.")
        await read_body(100)
        return Response(204)


def _door(told: Told, limits: Limits = LIMITS) -> Door:
    return Door(
        Route("POST", "/x", told, PUBLIC),
        Route("POST", "/mine", told, SIGNED_IN),
        Route("POST", "/json", Typed(), PUBLIC, max_body_bytes=20),
        event_door=Events(),
        limits=limits,
    )


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _slow(door: Door, count: int, path: str = "/x") -> list[asyncio.Task[Answer]]:
    headers = [*HALF, ("authorization", "Bearer good")]
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(door.send("POST", path, headers, b"1", NEVER)))
        await _settled()
    return tasks


async def _after_a_while(door: Door, headers: Headers, chunk: bytes) -> int:
    later = asyncio.Event()
    asked = asyncio.create_task(door.send("POST", "/x", headers, b"1", later, chunk))
    await _settled()
    later.set()
    return (await asked).status


async def _ended(tasks: list[asyncio.Task[Answer]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_bodies_that_do_not_come_hold_no_place() -> None:
    """H11 H22: on a public route, behind a token, and at the event door."""

    async def story(path: str) -> None:
        door = _door(Told())
        slow = await _slow(door, 4, path)
        for _ in range(3):
            answer = await asyncio.wait_for(door.send("POST", "/x", HALF, b"0123456789"), 5)
            assert answer.status == 200
        assert not any(task.done() for task in slow)
        await _ended(slow)

    for path in ("/x", "/mine", "/"):
        asyncio.run(story(path))


def test_more_slow_bodies_than_are_waited_for_are_shed_and_whole_ones_are_not() -> None:
    async def story() -> None:
        door = _door(Told())
        slow = await _slow(door, 4)
        (shed,) = await _slow(door, 1)
        answer = await asyncio.wait_for(shed, 5)
        assert (answer.status, answer.code, answer.headers["connection"]) == (503, "overloaded", "close")
        assert (await door.send("POST", "/x", HALF, b"0123456789")).json() == 10
        await _ended(slow)
        slow = await _slow(door, 4)
        assert not any(task.done() for task in slow)
        await _ended(slow)

    asyncio.run(story())


def test_whoever_left_a_place_gets_one_again_before_he_goes_on() -> None:
    async def story() -> None:
        told = Told()
        door = _door(told, Limits(running=2, waiting=10, body_seconds=DAY, handler_seconds=DAY))
        late = [asyncio.Event() for _ in range(6)]
        asked = [asyncio.create_task(door.send("POST", "/x", HALF, b"01234", each)) for each in late]
        await _settled()
        told.gate.clear()
        for each in late:
            each.set()
        await _settled()
        assert told.inside == 2
        told.gate.set()
        assert [answer.json() for answer in await asyncio.gather(*asked)] == [5] * 6
        assert told.most == 2

    asyncio.run(story())


def test_no_place_is_lost_or_won_however_a_body_ends() -> None:
    async def story() -> None:
        told = Told()
        door = _door(told, Limits(running=2, waiting=0, body_seconds=0.01, handler_seconds=DAY))
        for _ in range(3):
            late = await door.send("POST", "/x", HALF, b"1", NEVER)
            assert (late.status, late.code) == (400, "body_timeout")
            assert await _after_a_while(door, HALF, GONE) == 499
            assert await _after_a_while(door, [("transfer-encoding", "chunked")], b"2" * 70_000) == 413
            await _ended(await _slow(door, 2))
        told.gate.clear()
        running = [asyncio.create_task(door.send("POST", "/x", HALF, b"0123456789")) for _ in range(2)]
        await _settled()
        assert (told.inside, (await door.send("POST", "/x", HALF, b"0123456789")).code) == (2, "overloaded")
        told.gate.set()
        assert [answer.status for answer in await asyncio.gather(*running)] == [200] * 2

    asyncio.run(story())


def test_what_can_be_refused_without_the_body_is_not_kept_waiting_for_it() -> None:
    """H4 H10 J1."""

    async def story() -> None:
        door = _door(Told())
        json = ("content-type", "application/json")
        cases = [
            ("/nothing", [json, ("content-length", "10")], 404),
            ("/mine", [json, ("content-length", "10")], 401),
            ("/mine", [json, ("content-length", "10"), ("authorization", "Bearer bad")], 401),
            ("/json", [("content-type", "text/plain"), ("content-length", "10")], 415),
            ("/json", [json, ("content-length", "21")], 413),
            ("/", [json, ("content-length", "10")], 401),
        ]
        for path, headers, status in cases:
            answer = await asyncio.wait_for(door.send("POST", path, headers, NEVER), 5)
            assert answer.status == status, path

    asyncio.run(story())
