"""The event door: 204, 503, 401 or 403 and nothing else; what can never succeed is quarantined once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import quarantine
from shared.envelope import Delivery
from shared.errors import BadRequest, Forbidden, Invalid, TooLarge, Unauthenticated, Unavailable
from shared.event_door import EventDoor, Rejected, data_of, ignored, noted
from shared.events import CloudEvent
from shared.http import Response
from shared.http.problem import problem
from shared.logs import CONTEXT, Context
from shared.metrics import Metrics
from shared.quarantine import Quarantine, Quarantined
from shared.store import Stale
from shared.store.sqlite import SqliteStore
from shared.tracing import Trace
from tests.shelf import shelved
from tests.tokens import NOW, Time
from tests.unit.events.deliveries import BINARY, encoded, event_bytes, push
from tests.unit.events.senders import bearer, check, signed

pytestmark = pytest.mark.anyio


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class World:
    """A door with one handler, whose behaviour a test sets, over a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Time()
        self.store = SqliteStore(folder / "store.db", quarantine.QUERIES)
        self.shelf = Quarantine(self.store, self.clock, "billing")
        self.handled: list[tuple[CloudEvent, Delivery]] = []
        self.notified: list[Delivery] = []
        self.behaviour: Callable[[CloudEvent], Awaitable[None]] | None = None
        self.bodies_read = 0
        self.caller = check(folder / "jwks.json", self.clock)
        self.metrics = Metrics("billing", "test")
        self.door = self.make_door()

    def make_door(self, handler_seconds: float = 25.0) -> EventDoor:
        return EventDoor(
            {"tenant.created": self._handle, "tenant.resumed": ignored},
            self.caller,
            self.shelf,
            log=logging.getLogger("door"),
            notifications={"SECRET_ROTATE": self._notify, "TOPIC_CONFIGURED": noted},
            handler_seconds=handler_seconds,
            metrics=self.metrics,
        )

    async def send(
        self,
        body: bytes | Exception | None = None,
        headers: dict[str, str] | None = None,
        **data: Any,
    ) -> Response:
        async def read_body(limit: int) -> bytes:
            self.bodies_read += 1
            if isinstance(body, Exception):
                raise body
            return push(**data) if body is None else body

        given = {**BINARY, **bearer(signed())} if headers is None else headers
        try:
            return await self.door.handle(given, read_body)
        except (Unauthenticated, Forbidden, Unavailable) as refusal:
            return problem(refusal, "req_1")

    async def kept(self) -> list[Quarantined]:
        return await shelved(self.store)

    async def _handle(self, event: CloudEvent, delivery: Delivery) -> None:
        self.handled.append((event, delivery))
        if self.behaviour:
            await self.behaviour(event)

    async def _notify(self, delivery: Delivery) -> None:
        self.notified.append(delivery)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.store.close()


def failing(failure: BaseException) -> Callable[[CloudEvent], Awaitable[None]]:
    async def fail(event: CloudEvent) -> None:
        raise failure

    return fail


async def test_an_event_reaches_its_handler_with_its_delivery(world: World) -> None:
    response = await world.send()
    assert (response.status, response.body) == (204, b"")
    ((event, taken),) = world.handled
    assert (event.id, event.subject, event.type) == ("evt_1", "tnt_acme", "ai.energent.tenant.created.v1")
    assert (taken.message_id, taken.topic, taken.attempt) == ("17", "billing-events", 2)
    assert await world.kept() == []


async def test_a_type_that_passes_by_is_acknowledged(world: World) -> None:
    data = encoded(event_bytes(type="ai.energent.tenant.resumed.v1"))
    assert (await world.send(data=data)).status == 204
    assert (world.handled, await world.kept()) == ([], [])


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "caller_unproven"),
        (bearer("junk"), 401, "caller_unproven"),
        (bearer(signed(exp=1)), 401, "caller_unproven"),
        (bearer(signed(email="somebody@local.invalid")), 403, "wrong_caller"),
        (bearer(signed(aud="http://127.0.0.1:9002")), 403, "wrong_caller"),
        (bearer(signed(email_verified=False)), 403, "wrong_caller"),
    ],
)
async def test_a_bad_caller_is_refused_before_anything_is_read_or_written(
    world: World, headers: dict[str, str], status: int, code: str
) -> None:
    """P1, H21."""
    response = await world.send(headers={**BINARY, **headers})
    assert (response.status, msgspec.json.decode(response.body)["code"]) == (status, code)
    assert (world.bodies_read, world.handled, await world.kept()) == (0, [], [])


async def test_keys_that_cannot_be_read_are_an_outage(world: World, tmp_path: Path) -> None:
    (tmp_path / "jwks.json").unlink()
    assert (await world.send()).status == 503
    assert world.bodies_read == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"context":{"eventId":"FORGED"}}', "envelope_bad_field"),
        (b"[1]", "envelope_bad_field"),
        (b"", "envelope_empty"),
        (b"\xff\xfe", "envelope_byte_order_mark"),
        (push(messageId={"a": 1}), "envelope_bad_field"),
        (push(data="!"), "not_base64"),
    ],
)
async def test_a_request_without_a_message_is_quarantined_whole_and_acknowledged(
    world: World, body: bytes, reason: str
) -> None:
    """P2, P3, P5, P6."""
    assert (await world.send(body)).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.message_id, kept.whole_request) == (reason, "17", True)
    assert kept.data() == body
    assert world.handled == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no_data"),
        (b'"\xff"', "event_not_utf8"),
        (b"no json", "event_not_json"),
        (b"[1]", "event_bad_field"),
        (b"[" * 1000 + b"]" * 1000, "event_too_deep"),
        (event_bytes(specversion="0.3"), "event_bad_field"),
    ],
)
async def test_a_message_without_an_event_is_quarantined_and_acknowledged(
    world: World, data: bytes, reason: str
) -> None:
    """P4, P5."""
    assert (await world.send(data=encoded(data))).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.message_id, kept.topic, kept.whole_request) == (
        reason,
        "17",
        "billing-events",
        False,
    )
    assert kept.data() == data
    assert (kept.function, kept.received_at, kept.event_type) == ("billing", NOW, "")


@pytest.mark.parametrize(
    "event_type",
    ["ai.energent.tenant.created.v2", "ai.energent.tenant.exploded.v1", "com.example.x", "tenant.created"],
)
async def test_an_unknown_type_is_quarantined(world: World, event_type: str) -> None:
    """P16."""
    assert (await world.send(data=encoded(event_bytes(type=event_type)))).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.event_type, kept.subject) == ("unknown_type", event_type, "tnt_acme")
    assert world.handled == []


async def test_what_a_handler_rejects_is_quarantined_under_its_reason(world: World) -> None:
    world.behaviour = failing(Rejected("unknown_tenant", "There is no such tenant."))
    assert (await world.send()).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.detail) == ("unknown_tenant", "There is no such tenant.")
    assert (kept.event_type, kept.subject) == ("ai.energent.tenant.created.v1", "tnt_acme")


async def test_wrong_data_is_rejected_with_the_fields_path(world: World) -> None:
    async def read(event: CloudEvent) -> None:
        assert data_of(event, Named) == Named("Acme")

    world.behaviour = read
    assert (await world.send()).status == 204
    assert await world.kept() == []
    wrong: list[Any] = [{"name": 7}, {}, {"name": "a", "extra": 1}, [], ...]
    for data in wrong:
        assert (await world.send(data=encoded(event_bytes(data=data)))).status == 204
    kept = await world.kept()
    assert [item.reason for item in kept] == ["invalid_data"] * 5
    assert "Expected `str`, got `int` - at `$.name`" in [item.detail for item in kept]


async def test_the_same_message_again_is_not_kept_twice(world: World) -> None:
    for _ in range(2):
        assert (await world.send(data=encoded(b"[1]"))).status == 204
    assert len(await world.kept()) == 1


async def test_a_message_id_that_is_used_twice_hides_nothing(world: World) -> None:
    """P6."""
    for data in (b"[1]", b"[2]"):
        assert (await world.send(data=encoded(data))).status == 204
    assert len(await world.kept()) == 2


async def test_a_body_over_the_limit_is_quarantined_unread(world: World) -> None:
    """P9."""
    assert (await world.send(TooLarge("too_large", "Over the limit."))).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.body, kept.truncated, kept.message_id) == ("too_large", "", True, "17")


async def test_a_message_of_nearly_ten_megabytes_is_quarantined_with_its_beginning(world: World) -> None:
    """P5: 9.9 MB."""
    data = b"x" * 9_900_000
    assert (await world.send(data=encoded(data))).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.truncated) == ("too_large", True)
    assert kept.data() == data[: quarantine.MAX_KEPT_BYTES]


@pytest.mark.parametrize("failure", [Unavailable("store_busy", "Try again."), Stale(), TimeoutError()])
async def test_an_outage_asks_for_the_message_again(world: World, failure: Exception) -> None:
    """P20."""
    world.behaviour = failing(failure)
    assert (await world.send()).status == 503
    assert await world.kept() == []


@pytest.mark.parametrize(
    "failure", [ValueError("secret of the request"), KeyError("x"), RecursionError(), Invalid("c", "d")]
)
async def test_a_bug_asks_for_the_message_again_and_is_logged_once_with_its_stack(
    world: World, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world.behaviour = failing(failure)
    response = await world.send()
    assert response.status == 503
    assert b"secret" not in response.body
    (record,) = [record for record in caplog.records if record.name == "door"]
    assert record.levelname == "ERROR"
    assert record.exc_info


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (None, "done"),
        (Rejected("r", "d"), "quarantined"),
        (Unavailable("x", "y"), "put_off"),
        (ValueError(), "failed"),
    ],
)
async def test_what_becomes_of_a_message_is_counted_by_its_type(
    world: World, failure: Exception | None, outcome: str
) -> None:
    """P16."""
    world.behaviour = failing(failure) if failure else None
    await world.send()
    line = f'energent_event_duration_seconds_count{{outcome="{outcome}",type="tenant.created"}} 1.0\n'
    assert line in world.metrics.text().decode()


async def test_a_message_of_no_type_of_ours_is_counted_as_other(world: World) -> None:
    for body in (b"[1]", push(data=encoded(event_bytes(type="com.example.x"))), push(data=encoded(b"[1]"))):
        await world.send(body)
    line = 'energent_event_duration_seconds_count{outcome="quarantined",type="other"} 3.0\n'
    assert line in world.metrics.text().decode()


async def test_a_bad_caller_is_not_counted_as_a_message(world: World) -> None:
    await world.send(headers=BINARY)
    assert b"energent_event_duration_seconds_count" not in world.metrics.text()


async def test_a_handler_that_takes_too_long_is_stopped_and_the_message_comes_again(world: World) -> None:
    """Finding 9."""
    ended = asyncio.Event()

    async def hang(event: CloudEvent) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    world.behaviour = hang
    world.door = world.make_door(handler_seconds=0.05)
    assert (await world.send()).status == 503
    assert ended.is_set()


async def test_a_body_that_does_not_come_whole_is_asked_for_again(world: World) -> None:
    assert (await world.send(BadRequest("body_timeout", "The body did not arrive in time."))).status == 503
    assert await world.kept() == []


async def test_a_sender_that_goes_away_is_no_failure_of_the_door(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class GoneError(Exception):
        pass

    with pytest.raises(GoneError):
        await world.send(GoneError())
    assert caplog.records == []


async def test_a_quarantine_that_cannot_be_written_asks_for_the_message_again(world: World) -> None:
    await world.store.close()
    assert (await world.send(data=encoded(b"[1]"))).status == 503
    assert (await world.send(b"[1]")).status == 503


async def test_a_notification_reaches_its_handler_without_being_an_event(world: World) -> None:
    """P4."""
    attributes = {"eventType": "SECRET_ROTATE", "secretId": "projects/1/secrets/auth-signing-key"}
    assert (await world.send(data="", attributes=attributes)).status == 204
    assert (await world.send(data=..., attributes={"eventType": "TOPIC_CONFIGURED"})).status == 204
    (taken,) = world.notified
    assert taken.attributes == attributes
    assert (world.handled, await world.kept()) == ([], [])


async def test_an_event_reaches_its_handler_whatever_its_attributes_say(world: World) -> None:
    """P4: `eventType` and `secretId` are anybody's."""
    attributes = {"eventType": "SECRET_ROTATE", "secretId": "projects/1/secrets/auth-signing-key"}
    assert (await world.send(attributes=attributes)).status == 204
    ((event, _),) = world.handled
    assert event.id == "evt_1"
    assert (world.notified, await world.kept()) == ([], [])


async def test_a_notification_that_nobody_asked_for_is_quarantined(world: World) -> None:
    assert (await world.send(data="", attributes={"eventType": "SECRET_DELETE"})).status == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.attributes) == ("no_data", {"eventType": "SECRET_DELETE"})


@pytest.mark.parametrize("failure", [None, ValueError(), Unavailable("x", "y"), Rejected("r", "d")])
async def test_no_answer_reflects_the_request(world: World, failure: Exception | None) -> None:
    """P7."""
    world.behaviour = failing(failure) if failure else None
    mark = "REFLECTED"
    headers = {**BINARY, **bearer(signed()), "ce-id": mark, "x-mark": mark, "user-agent": mark}
    bad = {**headers, "authorization": f"Bearer {mark}"}
    data = encoded(event_bytes(id=mark, data={"a": mark}))
    for response in (
        await world.send(headers=headers, data=data),
        await world.send(headers=bad, data=data),
        await world.send(mark.encode(), headers=headers),
    ):
        answer = response.body + repr(response.headers).encode() + response.content_type.encode()
        assert mark.encode() not in answer
        assert response.status in (204, 503, 401)


async def test_the_same_event_twice_at_once_is_handled_twice_and_both_are_answered(world: World) -> None:
    """P11: it is the handler that deduplicates."""
    responses = await asyncio.gather(world.send(), world.send())
    assert [response.status for response in responses] == [204, 204]
    assert len(world.handled) == 2


async def test_what_a_handler_logs_carries_the_events_tenant_and_trace(world: World) -> None:
    seen = []

    async def look(event: CloudEvent) -> None:
        seen.append(CONTEXT.get())

    world.behaviour = look
    CONTEXT.set(Context("req_1", Trace("0" * 31 + "1")))
    await world.send()
    await world.send(data=encoded(event_bytes(traceparent=f"00-{'a' * 32}-{'b' * 16}-01")))
    assert seen == [
        Context("req_1", Trace("0" * 31 + "1"), "tnt_acme"),
        Context("req_1", Trace("a" * 32, "b" * 16, True), "tnt_acme"),
    ]


async def test_secrets_of_the_request_are_neither_logged_nor_kept(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = signed()
    await world.send(b"[1]", headers={**BINARY, **bearer(token)})
    world.behaviour = failing(ValueError())
    await world.send(headers={**BINARY, **bearer(token)})
    (kept,) = await world.kept()
    assert token not in caplog.text
    assert token not in repr(kept)
