"""The consuming side of the local bus: leases, growing delays, dead letters, damage. Tests move the clock."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.bus import AUTH_EVENTS, BILLING_EVENTS, Message
from shared.bus.local import FileLock, LocalBus
from shared.bus.tables import Leased
from shared.errors import Unavailable
from tests.tokens import NOW, Time

pytestmark = pytest.mark.anyio

SUBSCRIPTION = "billing-push"
DEAD_LETTERS = "billing-dead-letter-push"


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def bus(tmp_path: Path, clock: Time) -> AsyncIterator[LocalBus]:
    made = LocalBus(tmp_path / "bus.db", clock)
    await made.subscribe(BILLING_EVENTS, SUBSCRIPTION, "billing-events-dead-letter")
    await made.subscribe("billing-events-dead-letter", DEAD_LETTERS)
    yield made
    await made.close()


async def publish(bus: LocalBus, *texts: bytes) -> None:
    await bus.publish(BILLING_EVENTS, [Message(text) for text in texts])


async def lease(bus: LocalBus, limit: int = 10) -> list[Leased]:
    return await bus.lease(SUBSCRIPTION, limit, 60)


async def test_a_lease_says_what_was_published_and_that_it_is_the_first_try(bus: LocalBus) -> None:
    await bus.publish(BILLING_EVENTS, [Message(b"one", {"type": "t"})])
    (leased,) = await lease(bus)
    assert leased.message == Message(b"one", {"type": "t"})
    assert (leased.topic, leased.subscription) == (BILLING_EVENTS, SUBSCRIPTION)
    assert (leased.attempt, leased.published_at) == (1, NOW)
    assert leased.message_id


async def test_the_longest_due_come_first_and_no_more_than_asked(bus: LocalBus, clock: Time) -> None:
    for number in range(5):
        await publish(bus, b"%d" % number)
        clock.move(1)
    assert [leased.message.data for leased in await lease(bus, 3)] == [b"0", b"1", b"2"]
    assert [leased.message.data for leased in await lease(bus, 3)] == [b"3", b"4"]


async def test_what_is_leased_is_nobody_elses(bus: LocalBus, tmp_path: Path, clock: Time) -> None:
    await publish(bus, *(b"%d" % number for number in range(40)))
    other = LocalBus(tmp_path / "bus.db", clock)
    both = await asyncio.gather(*(lease(one, 5) for one in (bus, other) * 4))
    await other.close()
    data = [leased.message.data for batch in both for leased in batch]
    assert len(data) == len(set(data)) == 40


async def test_delays_double_from_the_base_up_to_the_cap(tmp_path: Path, clock: Time) -> None:
    bus = LocalBus(tmp_path / "bus.db", clock, base_seconds=2.0, cap_seconds=10.0)
    await bus.subscribe(BILLING_EVENTS, SUBSCRIPTION)
    await publish(bus, b"one")
    for attempt, seconds in enumerate((2.0, 4.0, 8.0, 10.0), start=1):
        (leased,) = await lease(bus)
        assert leased.attempt == attempt
        await bus.nack(leased)
        clock.move(seconds - 0.001)
        assert await lease(bus) == []
        clock.move(seconds * 0.1 + 0.001)
    assert [leased.attempt for leased in await lease(bus)] == [5]
    await bus.close()


async def test_the_first_delay_is_half_a_second(bus: LocalBus, clock: Time) -> None:
    await publish(bus, b"one")
    (leased,) = await lease(bus)
    await bus.nack(leased)
    due_in = await bus.due_in(SUBSCRIPTION)
    assert due_in is not None
    assert 0.5 <= due_in <= 0.55


async def test_a_lease_that_runs_out_is_a_failed_delivery(bus: LocalBus, clock: Time) -> None:
    await publish(bus, b"one")
    (first,) = await lease(bus)
    clock.move(59.9)
    assert await lease(bus) == []
    clock.move(0.2)
    assert await lease(bus) == [], "it waits its delay, as after any failure"
    clock.move(0.6)
    (second,) = await lease(bus)
    assert (second.message_id, second.attempt) == (first.message_id, 2)


async def test_only_the_present_holder_can_acknowledge_or_fail_a_delivery(bus: LocalBus, clock: Time) -> None:
    await publish(bus, b"one")
    (late,) = await lease(bus)
    clock.move(61)
    await lease(bus)
    clock.move(1)
    (present,) = await lease(bus)
    assert not await bus.ack(late)
    await bus.nack(late)
    assert await bus.pending(SUBSCRIPTION) == 1
    assert await bus.ack(present)
    assert await bus.pending(SUBSCRIPTION) == 0
    assert not await bus.ack(present)


async def fail_until_dead(bus: LocalBus, clock: Time) -> int:
    failures = 0
    while await bus.pending(SUBSCRIPTION):
        for leased in await lease(bus):
            await bus.nack(leased)
            failures += 1
        clock.move(60)
    return failures


async def test_the_fifth_failure_makes_a_dead_letter(
    bus: LocalBus, clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """P15."""
    await bus.publish(BILLING_EVENTS, [Message(b"poison", {"type": "t"})])
    assert await fail_until_dead(bus, clock) == 5
    (dead,) = await bus.lease(DEAD_LETTERS, 10, 60)
    assert (dead.topic, dead.attempt) == ("billing-events-dead-letter", 1)
    assert dead.message.data == b"poison"
    assert dead.message.attributes == {
        "type": "t",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "billing-push",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "local",
        "CloudPubSubDeadLetterSourceTopicPublishTime": NOW.isoformat(timespec="milliseconds")[:23] + "Z",
    }
    assert dead.published_at > NOW
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "poison" not in caplog.text


async def test_a_consumer_that_dies_five_times_over_a_message_makes_a_dead_letter(
    bus: LocalBus, clock: Time
) -> None:
    await publish(bus, b"poison")
    for _ in range(5):
        assert len(await lease(bus)) == 1
        clock.move(60)
        assert await lease(bus) == []
        clock.move(60)
    assert await bus.pending(SUBSCRIPTION) == 0
    assert await bus.pending(DEAD_LETTERS) == 1


async def test_a_subscription_without_dead_letters_tries_for_ever(bus: LocalBus, clock: Time) -> None:
    await publish(bus, b"poison")
    await fail_until_dead(bus, clock)
    for attempt in range(1, 1100):
        (leased,) = await bus.lease(DEAD_LETTERS, 10, 60)
        assert leased.attempt == attempt
        await bus.nack(leased)
        due = await bus.due_in(DEAD_LETTERS)
        assert due is not None
        assert due <= 66
        clock.move(due)


async def test_another_subscription_loses_nothing_by_a_dead_letter(bus: LocalBus, clock: Time) -> None:
    await bus.subscribe(BILLING_EVENTS, "other")
    await publish(bus, b"poison")
    await fail_until_dead(bus, clock)
    assert [leased.message for leased in await bus.lease("other", 10, 60)] == [Message(b"poison")]


async def test_what_is_released_is_due_at_once_and_was_no_attempt(bus: LocalBus, clock: Time) -> None:
    await publish(bus, b"one")
    for _ in range(9):
        (leased,) = await lease(bus)
        assert leased.attempt == 1
        await bus.release(leased)
    (late,) = await lease(bus)
    clock.move(61)
    await lease(bus)
    clock.move(1)
    (present,) = await lease(bus)
    await bus.release(late)
    assert await lease(bus) == [], "only its present holder can release it"
    assert present.attempt == 2


async def test_a_poison_message_holds_no_other_up(bus: LocalBus, clock: Time) -> None:
    """P14."""
    await publish(bus, b"poison", b"good")
    poison, good = await lease(bus)
    await bus.nack(poison)
    assert await bus.ack(good)
    await publish(bus, b"later")
    assert [leased.message.data for leased in await lease(bus)] == [b"later"]


async def test_pending_counts_what_is_in_flight_and_what_waits(bus: LocalBus, clock: Time) -> None:
    await publish(bus, b"1", b"2", b"3")
    first, second = await lease(bus, 2)
    assert await bus.pending(SUBSCRIPTION) == 3
    await bus.ack(first)
    await bus.nack(second)
    assert await bus.pending(SUBSCRIPTION) == 2


async def test_it_says_when_something_is_due(bus: LocalBus, clock: Time) -> None:
    assert await bus.due_in(SUBSCRIPTION) is None
    await publish(bus, b"one")
    assert await bus.due_in(SUBSCRIPTION) == 0
    clock.move(1)
    assert await bus.due_in(SUBSCRIPTION) == 0
    await lease(bus)
    assert await bus.due_in(SUBSCRIPTION) == 60


async def test_a_change_by_another_process_is_seen(bus: LocalBus, tmp_path: Path) -> None:
    before = bus.change_count()
    assert bus.change_count() == before
    other = LocalBus(tmp_path / "bus.db")
    await publish(other, b"one")
    await other.close()
    assert bus.change_count() != before


async def test_subscriptions_that_do_not_exist_and_names_in_use_are_refused(bus: LocalBus) -> None:
    for call in (bus.lease("nobody", 1, 1), bus.pending("nobody"), bus.due_in("nobody")):
        with pytest.raises(ValueError, match="no subscription"):
            await call
    with pytest.raises(ValueError, match="another topic"):
        await bus.subscribe(AUTH_EVENTS, SUBSCRIPTION)
    with pytest.raises(ValueError, match="no topic"):
        await bus.subscribe("nowhere", "new")


async def test_done_messages_leave_the_file_and_their_ids_are_not_used_again(bus: LocalBus) -> None:
    ids = set()
    for _ in range(3):
        await publish(bus, b"one")
        (leased,) = await lease(bus)
        await bus.ack(leased)
        ids.add(leased.message_id)
    assert len(ids) == 3


async def test_only_its_owner_reads_the_file(bus: LocalBus, tmp_path: Path) -> None:
    await publish(bus, b"one")
    assert stat.S_IMODE((tmp_path / "bus.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "bus.db-wal").stat().st_mode) == 0o600


async def test_a_file_that_is_no_bus_makes_it_unavailable(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_bytes(b"this is a letter to grandmother, not a database" * 100)
    bus = LocalBus(tmp_path / "bus.db")
    with pytest.raises(Unavailable):
        await publish(bus, b"one")
    await bus.close()


async def test_a_lock_that_is_never_let_go_makes_it_unavailable_and_blocks_no_loop(tmp_path: Path) -> None:
    bus = LocalBus(tmp_path / "bus.db", lock_seconds=0.1)
    await bus.subscribe(BILLING_EVENTS, SUBSCRIPTION)
    stopped = FileLock(tmp_path / "bus.db.lock", 1.0)
    with stopped.held():
        waiting = asyncio.create_task(publish(bus, b"one"))
        turns = 0
        while not waiting.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 10
        with pytest.raises(Unavailable):
            await waiting
    stopped.close()
    await publish(bus, b"two")
    assert [leased.message.data for leased in await lease(bus)] == [b"two"]
    await bus.close()
