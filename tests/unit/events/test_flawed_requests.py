"""A message in a request that any other door would refuse: kept once, and not sent five times."""

import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from shared import quarantine
from shared.envelope import Delivery
from shared.event_door import EventDoor
from shared.events import CloudEvent
from shared.quarantine import Quarantine, Quarantined
from shared.store.sqlite import SqliteStore
from tests.door import Answer, Door
from tests.shelf import shelved
from tests.tokens import Time
from tests.unit.events.deliveries import event_bytes, push
from tests.unit.events.senders import bearer, check, signed

pytestmark = pytest.mark.anyio

Pairs = Sequence[tuple[str, str]]

FLAWS = [
    ("/", [(f"a{n}", "x") for n in range(101)], "headers_too_large"),
    ("/", [("aa", "x" * 9_000)], "headers_too_large"),
    ("/", [(f"a{n}", "x" * 8_000) for n in range(5)], "headers_too_large"),
    ("/", [("ce-id", "1"), ("ce-id", "2")], "bad_header"),
    ("/", [("traceparent", "1"), ("traceparent", "2")], "bad_header"),
    ("/?" + "q" * 9_000, [], "uri_too_long"),
    ("/?" + "q" * 9_000, [("my_attr", "x")], "uri_too_long"),
]


class World:
    """An app with an open event door over a store of its own."""

    def __init__(self, folder: Path) -> None:
        clock = Time()
        self.store = SqliteStore(folder / "store.db", quarantine.QUERIES)
        self.shelf = Quarantine(self.store, clock, "billing")
        self.handled: list[Delivery] = []
        door = EventDoor(
            {"tenant.created": self._handle},
            check(folder / "jwks.json", clock),
            self.shelf,
            log=logging.getLogger("door"),
        )
        self.door = Door(event_door=door)

    async def send(self, headers: Pairs, target: str = "/", body: bytes | None = None) -> Answer:
        return await self.door.send("POST", target, headers, push() if body is None else body)

    async def kept(self) -> list[Quarantined]:
        return await shelved(self.store)

    async def _handle(self, event: CloudEvent, delivery: Delivery) -> None:
        self.handled.append(delivery)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.store.close()


def _caller(token: str | None = None) -> list[tuple[str, str]]:
    return list(bearer(token or signed()).items())


@pytest.mark.parametrize(("target", "headers", "reason"), FLAWS)
async def test_a_flawed_request_is_quarantined_once_with_its_body(
    world: World, target: str, headers: Pairs, reason: str
) -> None:
    """P2: the token may come after what is wrong."""
    for _ in range(2):
        answer = await world.send([*headers, *_caller()], target)
        assert (answer.status, answer.body) == (204, b"")
    (kept,) = await world.kept()
    assert (kept.reason, kept.whole_request, kept.truncated) == (reason, True, False)
    assert kept.body
    assert world.handled == []


@pytest.mark.parametrize(("target", "headers", "reason"), FLAWS)
@pytest.mark.parametrize(
    ("caller", "status"),
    [
        ([], 401),
        (_caller("junk"), 401),
        (_caller(signed(email="somebody@local.invalid")), 403),
        ([*_caller(), *_caller()], 401),
    ],
)
async def test_a_bad_caller_is_refused_whatever_else_is_wrong(
    world: World, target: str, headers: Pairs, reason: str, caller: Pairs, status: int
) -> None:
    """P1, H21: and nothing is written."""
    assert (await world.send([*headers, *caller], target)).status == status
    assert await world.kept() == []


async def test_two_credentials_are_none(world: World) -> None:
    """J33."""
    answer = await world.send([*_caller(), *_caller()])
    assert (answer.status, answer.code) == (401, "invalid_token")


async def test_an_attribute_with_an_underscore_is_no_flaw(world: World) -> None:
    """Unwrapped push sends attributes as headers."""
    attributes = [("my_attr", "x"), ("my_attr", "y"), ("x-goog-pubsub-message-id", "77")]
    assert (await world.send([*attributes, *_caller()], body=event_bytes())).status == 204
    assert [delivery.message_id for delivery in world.handled] == ["77"]
    assert await world.kept() == []


@pytest.mark.parametrize(("target", "headers", "reason"), FLAWS)
async def test_a_closed_event_door_takes_no_flawed_request(target: str, headers: Pairs, reason: str) -> None:
    answer = await Door().send("POST", target, [*headers, *_caller()], push())
    assert answer.status in (400, 414, 431)
