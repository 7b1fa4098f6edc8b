"""Consuming a subscription, on the local bus's file and on the Pub/Sub emulator alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from local import broker
from local.broker import Broker, Subscriber, Subscription
from local.google.emulator import Emulator
from local.google.pulling import MAX_HELD, PullSubscriber
from shared.bus import BILLING_EVENTS, Message
from shared.bus.tables import Leased
from shared.errors import Misconfigured, Unavailable
from shared.ids import new_id
from tests import emulators
from tests.fault_proxy import Fault, FaultProxy

pytestmark = pytest.mark.anyio

DEAD = "billing-events-dead-letter"
PUSHED = Subscription("pushed", BILLING_EVENTS, DEAD)
LETTERS = Subscription("letters", DEAD)
SHORT = Subscription("short", BILLING_EVENTS)


@pytest.fixture(params=["embedded", "pubsub-emulator"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> broker.Options:
    host = request.getfixturevalue("pubsub_emulator") if request.param != "embedded" else None
    project = new_id("project").replace("_", "-")
    return broker.Options(tmp_path, host, project, retry_base_seconds=0.03, retry_cap_seconds=0.1)


Open = Callable[[], Awaitable[Broker]]


@pytest.fixture
async def opened(options: broker.Options) -> AsyncIterator[Open]:
    """A broker as another process would have it each time."""
    async with AsyncExitStack() as stack:
        stack.enter_context(emulators.patience())

        async def make() -> Broker:
            made = await stack.enter_async_context(broker.opened(options))
            await made.prepare(PUSHED, LETTERS)
            return made

        yield make


@pytest.fixture
async def emulator(options: broker.Options) -> AsyncIterator[Emulator]:
    """With a subscription whose leases are as short as Pub/Sub knows them."""
    assert options.pubsub is not None
    made = Emulator(options.pubsub, options.project)
    await made.create_topic(BILLING_EVENTS)
    await made.create_subscription(BILLING_EVENTS, SHORT.name, 1)
    yield made
    await made.close()


async def leased(subscriber: Subscriber, limit: int = 10) -> list[Leased]:
    """Waits until there is something."""
    async with asyncio.timeout(8):
        while not (found := await subscriber.lease(limit)):
            await subscriber.wait()
    return found


async def test_a_lease_says_all_of_the_message_and_which_try_it_is(opened: Open) -> None:
    source = await opened()
    subscriber = source.subscriber(PUSHED)
    await source.bus.publish(BILLING_EVENTS, [Message(b"\x00\xff", {"k": "v"})])
    (one,) = await leased(subscriber)
    assert (one.message, one.topic) == (Message(b"\x00\xff", {"k": "v"}), BILLING_EVENTS)
    assert one.subscription == "pushed"
    assert one.attempt == 1
    assert one.published_at.tzinfo is not None
    await subscriber.nack(one)
    assert await subscriber.lease(10) == [], "it waits for its delay"
    (again,) = await leased(subscriber)
    assert (again.message_id, again.attempt) == (one.message_id, 2)
    await subscriber.release(again)
    (once_more,) = await leased(subscriber)
    assert once_more.attempt == 2, "what is released was no attempt"
    await subscriber.ack(once_more)
    assert await subscriber.pending() == 0
    assert subscriber.leased_count == 3
    await subscriber.close()


async def test_pending_counts_what_is_there_in_flight_and_between_two_tries(opened: Open) -> None:
    source = await opened()
    subscriber = source.subscriber(PUSHED)
    assert await subscriber.pending() == 0
    await source.bus.publish(BILLING_EVENTS, [Message(b"1")])
    assert await subscriber.pending() == 1
    (one,) = await leased(subscriber)
    assert await subscriber.pending() == 1
    await subscriber.nack(one)
    assert await subscriber.pending() == 1
    await subscriber.ack(*await leased(subscriber))
    assert await subscriber.pending() == 0
    await subscriber.close()


async def test_the_fifth_failure_is_the_last_there_and_the_dead_letter_never_dies(opened: Open) -> None:
    source = await opened()
    subscriber, letters = source.subscriber(PUSHED), source.subscriber(LETTERS)
    await source.bus.publish(BILLING_EVENTS, [Message(b"poison", {"k": "v"})])
    for attempt in range(1, 6):
        (one,) = await leased(subscriber)
        assert one.attempt == attempt
        await subscriber.nack(one)
    assert await subscriber.pending() == 0
    assert await letters.pending() == 1
    for attempt in range(1, 9):
        (letter,) = await leased(letters)
        assert letter.attempt == attempt
        await letters.nack(letter)
    assert letter.message.data == b"poison"
    assert letter.message.attributes == {
        "k": "v",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "pushed",
        "CloudPubSubDeadLetterSourceSubscriptionProject": source.project,
        "CloudPubSubDeadLetterSourceTopicPublishTime": letter.message.attributes[
            "CloudPubSubDeadLetterSourceTopicPublishTime"
        ],
    }
    await subscriber.close()
    await letters.close()


async def test_no_two_processes_have_a_message_at_the_same_time(opened: Open) -> None:
    first, second = await opened(), await opened()
    both = [first.subscriber(PUSHED), second.subscriber(PUSHED)]
    await first.bus.publish(BILLING_EVENTS, [Message(b"%d" % number) for number in range(60)])
    taken: list[bytes] = []
    while len(taken) < 60:
        for some in await asyncio.gather(*(subscriber.lease(7) for subscriber in both)):
            taken += [one.message.data for one in some]
    assert len(set(taken)) == 60
    for subscriber in both:
        await subscriber.close()


async def test_waiting_ends_when_there_is_something_and_can_be_given_up(opened: Open) -> None:
    source = await opened()
    subscriber = source.subscriber(PUSHED)
    waiting = asyncio.create_task(leased(subscriber))
    await asyncio.sleep(0.3)
    await source.bus.publish(BILLING_EVENTS, [Message(b"1")])
    async with asyncio.timeout(1):
        (one,) = await waiting
    await subscriber.ack(one)
    given_up = asyncio.create_task(subscriber.wait())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    await source.bus.publish(BILLING_EVENTS, [Message(b"2")])
    assert [one.message.data for one in await leased(subscriber)] == [b"2"]
    await subscriber.close()


@pytest.mark.parametrize("options", ["embedded"], indirect=True)
async def test_where_nothing_happens_waiting_lasts(opened: Open) -> None:
    subscriber = (await opened()).subscriber(PUSHED)
    assert await subscriber.lease(10) == []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await subscriber.wait()


gcp = pytest.mark.parametrize("options", ["pubsub-emulator"], indirect=True)


@gcp
async def test_what_a_closed_subscriber_held_is_there_at_once(opened: Open) -> None:
    first, second = (await opened()).subscriber(PUSHED), (await opened()).subscriber(PUSHED)
    source = await opened()
    await source.bus.publish(BILLING_EVENTS, [Message(b"1"), Message(b"2")])
    for one in await leased(first):
        await first.nack(one)
    await first.close()
    async with asyncio.timeout(1):
        taken = [one async for one in _all(second, 2)]
    for one in taken:
        await second.ack(one)
    assert await second.pending() == 0, "nobody died, so it is sure of that"
    await second.close()


@gcp
async def test_what_a_dead_one_held_counts_until_it_comes_again(opened: Open, emulator: Emulator) -> None:
    first, second = (PullSubscriber(emulator, SHORT, broker.Options(Path()), 1) for _ in range(2))
    source = await opened()
    await source.bus.publish(BILLING_EVENTS, [Message(b"1")])
    assert len(await leased(first)) == 1
    await _die()
    assert await second.pending() == 1
    (one,) = await leased(second)
    await second.ack(one)
    assert await second.pending() == 0
    await second.close()


@gcp
async def test_a_lease_lasts_as_long_as_its_holder_lives(opened: Open, emulator: Emulator) -> None:
    first, second = (PullSubscriber(emulator, SHORT, broker.Options(Path()), 1) for _ in range(2))
    source = await opened()
    await source.bus.publish(BILLING_EVENTS, [Message(b"1")])
    (one,) = await leased(first)
    await asyncio.sleep(1.5)
    assert await second.lease(10) == []
    await first.ack(one)
    await first.close()
    await second.close()


@gcp
async def test_a_lease_that_was_renewed_too_late_is_taken_again_and_not_tried_twice(
    opened: Open, emulator: Emulator
) -> None:
    subscriber = PullSubscriber(emulator, SHORT, broker.Options(Path()), 1)
    source = await opened()
    await source.bus.publish(BILLING_EVENTS, [Message(b"1")])
    (one,) = await leased(subscriber)
    await _die()
    await asyncio.sleep(1.2)
    assert await subscriber.lease(10) == []
    await subscriber.ack(one)
    await asyncio.sleep(1.2)
    assert await subscriber.pending() == 0
    await subscriber.close()


@gcp
async def test_no_more_is_held_than_fits_and_it_goes_on_when_some_is_done(opened: Open) -> None:
    source = await opened()
    subscriber = source.subscriber(PUSHED)
    await source.bus.publish(BILLING_EVENTS, [Message(b"%d" % number) for number in range(MAX_HELD + 5)])
    held: list[Leased] = []
    while some := await subscriber.lease(400):
        held += some
    assert len(held) == MAX_HELD
    for one in held[:10]:
        await subscriber.ack(one)
    assert len(await leased(subscriber)) == 5
    await subscriber.close()


@gcp
async def test_an_outage_is_told_and_keeps_it_from_saying_that_nothing_is_left(
    opened: Open, options: broker.Options
) -> None:
    await opened()
    assert options.pubsub is not None
    proxy = FaultProxy(options.pubsub)
    server = await proxy.serve()
    emulator = Emulator(proxy.address, options.project)
    subscriber = PullSubscriber(emulator, PUSHED, options)
    assert await subscriber.pending() == 0
    proxy.fault = Fault.RESET
    for call in (subscriber.pending(), subscriber.lease(1)):
        with pytest.raises(Unavailable):
            await call
    proxy.fault = Fault.NONE
    await asyncio.sleep(0.3)
    assert await subscriber.pending() == 1, "an answer with messages may have been lost"
    with pytest.raises(Misconfigured, match="subscriptions/nothing"):
        await emulator.pull("nothing", 1)
    await subscriber.close()
    await emulator.close()
    server.close()


async def _all(subscriber: Subscriber, count: int) -> AsyncIterator[Leased]:
    while count:
        for one in await leased(subscriber):
            yield one
            count -= 1


async def _die() -> None:
    """As a consumer after `kill -9`: nothing is renewed or given back."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == "PullSubscriber._renew":
            task.cancel()
            await asyncio.wait({task})
