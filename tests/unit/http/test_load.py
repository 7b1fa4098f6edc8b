"""Too much at once, too long, and the line that each request leaves."""

import asyncio
import re

import pytest

from shared.errors import Conflict
from shared.http import PUBLIC, SIGNED_IN, Call, Response, Route
from shared.http.limits import Limits
from shared.logs import CONTEXT, Context
from shared.tracing import Trace
from tests.door import Door

LIMITS = Limits(running=2, waiting=3, handler_seconds=86_400)


class Held:
    """A handler that waits until it is released and counts how many are inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.gate = asyncio.Event()

    async def __call__(self, call: Call) -> Response:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.gate.wait()
        finally:
            self.inside -= 1
        return Response(200, b"{}")


def test_what_exceeds_running_and_waiting_is_shed_at_once() -> None:
    """H22: and health is answered all the same."""

    async def story() -> None:
        held = Held()
        door = Door(Route("GET", "/x", held, PUBLIC), limits=LIMITS)
        asked = [asyncio.ensure_future(door.send("GET", "/x")) for _ in range(5)]
        await asyncio.sleep(0)
        shed = await door.send("GET", "/x")
        assert (shed.status, shed.code, shed.headers["retry-after"]) == (503, "overloaded", "1")
        assert (await door.send("GET", "/health")).status == 200
        assert (await door.send("GET", "/nothing")).status == 404
        held.gate.set()
        assert [answer.status for answer in await asyncio.gather(*asked)] == [200] * 5
        assert held.most == 2
        assert (await door.send("GET", "/x")).status == 200

    asyncio.run(story())


def test_who_stops_waiting_leaves_room() -> None:
    async def story() -> None:
        held = Held()
        door = Door(Route("GET", "/x", held, PUBLIC), limits=LIMITS)
        asked = [asyncio.ensure_future(door.send("GET", "/x")) for _ in range(5)]
        await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        again = [asyncio.ensure_future(door.send("GET", "/x")) for _ in range(5)]
        await asyncio.sleep(0)
        held.gate.set()
        assert [answer.status for answer in await asyncio.gather(*again)] == [200] * 5

    asyncio.run(story())


def test_a_handler_that_takes_too_long_is_ended_and_its_place_freed() -> None:
    """H11 D1."""

    async def story() -> None:
        held = Held()
        door = Door(
            Route("GET", "/x", held, PUBLIC), limits=Limits(running=1, waiting=0, handler_seconds=0.01)
        )
        for _ in range(3):
            answer = await door.send("GET", "/x")
            assert (answer.status, answer.code) == (503, "timeout")
        assert held.inside == 0

    asyncio.run(story())


async def _fine(call: Call) -> Response:
    return Response(200, b"{}")


async def _conflict(call: Call) -> Response:
    raise Conflict("x", "X.")


DOOR = Door(
    Route("GET", "/v1/things/{thing_id}", _fine, PUBLIC),
    Route("POST", "/v1/things/{thing_id}", _conflict, SIGNED_IN),
)


def test_each_request_leaves_one_line() -> None:
    """G9: who, what, outcome; the query is nobody's business."""
    DOOR.log.clear()
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = DOOR.ask(
        "POST",
        "/v1/things/t1?token=hunter2",
        [("authorization", "Bearer good"), ("traceparent", f"00-{trace}-b7ad6b7169203331-01")],
    )
    (line,) = DOOR.log
    assert (line.method, line.path, line.status) == ("POST", "/v1/things/{thing_id}", 409)
    assert (line.tenant_id, line.subject) == ("tnt_acme", "usr_1")
    assert line.trace == Trace(trace, "b7ad6b7169203331", True)
    assert line.request_id == answer.headers["x-request-id"]
    assert 0 <= line.seconds < 5


@pytest.mark.parametrize(
    "path",
    [
        "/v1/thing/someone@example.com",
        "/v1/thing/someone%40example.com",
        "/v1/thing/x_rt1_0123456789abcdef",
        "/v1/thing/x%2Frt1_0123456789abcdef",
        "/eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        "/x/sk_0123456789abcdef",
    ],
)
def test_a_path_that_holds_a_secret_is_cleaned(path: str) -> None:
    """G1."""
    DOOR.log.clear()
    DOOR.ask("GET", path)
    assert "[redacted]" in DOOR.log[0].path
    assert not re.search("someone|0123456789abcdef|c2ln", DOOR.log[0].path)


@pytest.mark.parametrize("value", ["hunter2", "someone%40example.com", "x_rt1_0123456789abcdef"])
def test_of_a_path_we_have_nothing_is_logged_that_a_client_chose(value: str) -> None:
    """G1."""
    DOOR.log.clear()
    DOOR.ask("GET", f"/v1/things/{value}")
    assert DOOR.log[0].path == "/v1/things/{thing_id}"


def test_what_a_handler_logs_belongs_to_its_request() -> None:
    seen: list[Context | None] = []

    async def handler(call: Call) -> Response:
        seen.append(CONTEXT.get())
        return Response(204)

    door = Door(Route("GET", "/open", handler, PUBLIC), Route("GET", "/me", handler, SIGNED_IN))
    trace = "0af7651916cd43dd8448eb211c80319c"
    for path in ("/open", "/me"):
        headers = [("x-request-id", "req-12345"), ("authorization", "Bearer good")]
        headers.append(("function-execution-id", "exe-1"))
        door.ask("GET", path, [*headers, ("x-cloud-trace-context", trace)])
    known = Trace(trace)
    assert seen == [
        Context("req-12345", known, "", "exe-1"),
        Context("req-12345", known, "tnt_acme", "exe-1"),
    ]


@pytest.mark.parametrize("sent", ['x"\n', "a" * 65, ""])
def test_an_execution_id_that_is_none_is_left_out(sent: str) -> None:
    """H16."""
    door = Door(Route("GET", "/open", _fine, PUBLIC))
    door.ask("GET", "/open", [("function-execution-id", sent.encode())])
    assert door.log[0].execution_id == ""


def test_a_long_path_is_cut() -> None:
    DOOR.log.clear()
    DOOR.ask("GET", "/" + "a" * 5000)
    assert len(DOOR.log[0].path) == 512
