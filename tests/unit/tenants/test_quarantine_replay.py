"""Operators replay what was set aside: as it was, in bounded parts, and once."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from functions.tenants.quarantine import EVERYTHING, Shelf
from shared.bus import Message
from shared.errors import Unavailable
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import MAX_KEPT_BYTES, Quarantine
from shared.store import Page
from shared.store.bodies import stamp
from tests.tokens import NOW
from tests.unit.billing.faulty_store import Crash, FaultyStore
from tests.unit.events.deliveries import event_bytes
from tests.unit.tenants.operators import SHELF, Operator
from tests.unit.tenants.world import OPERATOR

pytestmark = pytest.mark.anyio


class DownAfterAQuery(FaultyStore):
    async def run(self, *asked: Any) -> Page:
        page = await super().run(*asked)
        self.is_down = True
        return page


async def test_a_replay_sends_the_message_as_it_was_and_takes_it_off_the_shelf(operator: Operator) -> None:
    """P15."""
    quarantine_id = await operator.put(attributes={"type": "t"})
    answer = await operator.ask("POST", f"{SHELF}/{quarantine_id}/replay")
    assert (answer.status_code, answer.content) == (204, b"")
    assert operator.sent() == [("billing-events", Message(event_bytes(), {"type": "t"}))]
    assert await operator.ids() == []
    (record,) = await operator.world.audit("platform")
    assert (record.action, record.target) == ("quarantine.replay", quarantine_id)
    assert (record.actor.id, record.actor.tenant_id) == ("sa_ops", "platform")
    assert record.detail == {
        "reason": "bad",
        "message_id": "17",
        "event_type": "ai.energent.tenant.created.v1",
        "tenant_id": "tnt_acme",
    }


async def test_a_message_is_replayed_once_however_many_ask(operator: Operator) -> None:
    """P15."""
    quarantine_id = await operator.put()
    asked = (operator.ask("POST", f"{SHELF}/{quarantine_id}/replay") for _ in range(16))
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*asked)])
    assert statuses == [204] + [404] * 15
    again = await operator.ask("POST", f"{SHELF}/{quarantine_id}/replay")
    assert (again.status_code, again.json()["code"]) == (404, "no_such_message")
    assert len(operator.sent()) == 1
    assert len(await operator.audited()) == 1


async def test_a_replay_that_the_bus_does_not_take_is_sent_by_the_sweep_once(operator: Operator) -> None:
    """D8."""
    quarantine_id = await operator.put()
    operator.world.bus.refusals = 1
    assert (await operator.ask("POST", f"{SHELF}/{quarantine_id}/replay")).status_code == 204
    assert operator.sent() == []
    operator.world.clock.move(60)
    for _ in range(2):
        await operator.world.outbox.sweep()
    assert len(operator.sent()) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": b"\xff" * (MAX_KEPT_BYTES + 1)}, "too large"),
        ({"data": b"\xff"}, "UTF-8"),
        ({"data": b""}, "No topic takes it"),
        ({"data": b"\x01" * MAX_KEPT_BYTES}, "No topic takes it"),
        ({"topic": "somebody-elses"}, "No topic takes it"),
        ({"attributes": {"a": "v" * 1025}}, "No topic takes it"),
        ({"attributes": {str(number): "v" * 10_000 for number in range(20)}}, "too large"),
    ],
)
async def test_what_cannot_be_a_message_again_is_not_replayed_and_stays(
    operator: Operator, changes: dict[str, Any], why: str
) -> None:
    quarantine_id = await operator.put(**changes)
    answer = await operator.ask("POST", f"{SHELF}/{quarantine_id}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_replayable")
    assert why in answer.json()["detail"]
    assert "\\" not in answer.json()["detail"]
    assert await operator.ids() == [quarantine_id]
    assert operator.sent() == []


async def test_a_whole_request_is_not_replayed_and_says_that_it_is_incomplete(operator: Operator) -> None:
    shelf = Quarantine(operator.world.store, operator.world.clock, "billing")
    write = shelf.write_request({"ce-id": "17"}, b"[1]", "bad", "It is bad.")
    await shelf.put(write)
    answer = await operator.ask("POST", f"{SHELF}/{write.key.id}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_replayable")
    (shown,) = (await operator.ask("GET", SHELF)).json()["items"]
    assert shown["complete"] is False


async def test_what_googles_client_library_added_is_not_sent_again(operator: Operator) -> None:
    """Its tracing does; a topic takes such names from nobody else."""
    quarantine_id = await operator.put(attributes={"googclient_traceparent": "x", "type": "t"})
    assert (await operator.ask("POST", f"{SHELF}/{quarantine_id}/replay")).status_code == 204
    assert operator.sent()[0][1].attributes == {"type": "t"}


async def test_the_largest_message_that_was_kept_whole_is_replayed(operator: Operator) -> None:
    data = b'"' * 400_000
    quarantine_id = await operator.put(data=data)
    assert (await operator.ask("POST", f"{SHELF}/{quarantine_id}/replay")).status_code == 204
    assert operator.sent()[0][1].data == data


async def test_all_that_a_filter_finds_is_replayed_and_the_rest_stays(operator: Operator) -> None:
    stays = await operator.put("auth", "bad", topic="auth-events")
    await operator.put("billing", "bad", message_id="1")
    await operator.put("billing", "worse", message_id="2")
    odd = await operator.put("billing", "bad", data=b"\xff")
    told = await operator.replay_all(function="billing", since=stamp(NOW))
    assert told["replayed"] == 2
    assert [(each["id"], each["code"]) for each in told["skipped"]] == [(odd, "not_replayable")]
    assert told["next_cursor"] is None
    assert await operator.ids() == [odd, stays]
    assert len(operator.sent()) == 2
    assert [action for action, _, _ in await operator.audited()] == ["quarantine.replay"] * 2


async def test_everything_is_replayed_in_bounded_parts_that_join(operator: Operator) -> None:
    for number in range(25):
        await operator.put(message_id=str(number))
    odd = await operator.put(data=b"\xff")
    first = await operator.replay_all(all=True, limit=10)
    assert (first["replayed"], [each["id"] for each in first["skipped"]]) == (9, [odd])
    late = await operator.put(message_id="set aside meanwhile")
    second = await operator.replay_all(all=True, limit=10, cursor=first["next_cursor"])
    third = await operator.replay_all(all=True, limit=10, cursor=second["next_cursor"])
    assert (second["replayed"], third["replayed"], third["next_cursor"]) == (10, 6, None)
    assert await operator.ids() == [late, odd]
    assert len(operator.sent()) == 25


async def test_two_who_replay_everything_at_once_send_each_message_once(operator: Operator) -> None:
    for number in range(12):
        await operator.put(message_id=str(number), data=event_bytes(id=f"evt_{number}"))
    told = await asyncio.gather(*(operator.replay_all(all=True) for _ in range(3)))
    assert sum(each["replayed"] for each in told) == 12
    assert {skip["code"] for each in told for skip in each["skipped"]} <= {"no_such_message"}
    assert len({message.data for _, message in operator.sent()}) == len(operator.sent()) == 12


@pytest.mark.parametrize("dies_after", [False, True])
@pytest.mark.parametrize("step", range(1, 11))
async def test_whoever_dies_at_any_step_asking_again_sends_the_rest(
    operator: Operator, step: int, dies_after: bool
) -> None:
    """P18, D4: what was sent may be sent twice, as anything on a topic; on the shelf it is once."""
    world = operator.world
    texts = {event_bytes(id=f"evt_{number}") for number in range(3)}
    for number, text in enumerate(sorted(texts)):
        await operator.put(message_id=str(number), data=text)
    dying = FaultyStore(world.plain_store)
    dying.dies_at, dying.dies_after = step, dies_after
    store = PublishingStore(dying, world.bus)
    shelf = Shelf(store, Outbox(store, world.bus, world.clock, "tenants"), world.clock)
    with suppress(Crash):
        await shelf.replay_all(EVERYTHING, 100, None, OPERATOR)
    assert dying.steps >= step
    await operator.replay_all(all=True)
    world.clock.move(60)
    await world.outbox.sweep()
    assert await operator.ids() == []
    assert {message.data for _, message in operator.sent()} == texts
    assert len(operator.sent()) <= 4
    assert len(await operator.audited()) == 3


async def test_an_outage_in_the_middle_is_told_as_one(operator: Operator) -> None:
    await operator.put()
    store = DownAfterAQuery(operator.world.plain_store)
    shelf = Shelf(store, operator.world.outbox, operator.world.clock)
    with pytest.raises(Unavailable):
        await shelf.replay_all(EVERYTHING, 100, None, OPERATOR)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "/all"),
        ({"all": False}, "/all"),
        ({"all": True, "reason": "bad"}, "/all"),
        ({"limit": 10}, "/all"),
        ({"all": True, "limit": 201}, "/limit"),
        ({"all": True, "limit": 0}, "/limit"),
        ({"all": 1}, "/all"),
        ({"reason": ""}, "/reason"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "/since"),
        ({"since": 1_700_000_000}, "/since"),
        ({"ids": ["qrn_1"]}, "/ids"),
    ],
)
async def test_nothing_is_replayed_unless_it_was_clearly_asked_for(
    operator: Operator, body: dict[str, Any], path: str
) -> None:
    quarantine_id = await operator.put()
    answer = await operator.ask("POST", f"{SHELF}/replay", json=body)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert await operator.ids() == [quarantine_id]
