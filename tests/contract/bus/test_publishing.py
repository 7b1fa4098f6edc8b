"""The bus port: what is published arrives, at least once, at every subscription of its topic."""

import asyncio

import pytest

from shared.bus import AUTH_EVENTS, BILLING_EVENTS, MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, Message
from shared.errors import Unavailable
from tests.contract.bus.harness import Harness

pytestmark = pytest.mark.anyio


async def received(harness: Harness, subscription: str) -> list[Message]:
    """Takes and acknowledges what is there."""
    deliveries = await harness.receive(subscription)
    for delivery in deliveries:
        await delivery.done()
    return [delivery.message for delivery in deliveries]


async def test_a_message_reaches_every_subscription_of_its_topic_and_no_other(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "first")
    await harness.subscribe(BILLING_EVENTS, "second")
    await harness.subscribe(AUTH_EVENTS, "other")
    await harness.open().publish(BILLING_EVENTS, [Message(b"one")])
    assert [await received(harness, name) for name in ("first", "second", "other")] == [
        [Message(b"one")],
        [Message(b"one")],
        [],
    ]


async def test_bytes_and_attributes_arrive_as_they_were(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "all")
    messages = [
        Message(bytes(range(256)), {"type": "ai.energent.x", "subject": ""}),
        Message(b"", {"eventType": "SECRET_ROTATE", "größe": 'a"b\\\n€'}),
        Message(b"x" * 2_000_000),
    ]
    await harness.open().publish(BILLING_EVENTS, messages)
    arrived = await received(harness, "all")
    assert sorted(arrived, key=lambda message: len(message.data)) == [messages[1], messages[0], messages[2]]


async def test_a_topic_without_subscriptions_keeps_nothing(harness: Harness) -> None:
    await harness.open().publish(BILLING_EVENTS, [Message(b"before")])
    await harness.subscribe(BILLING_EVENTS, "late")
    await harness.open().publish(BILLING_EVENTS, [Message(b"after")])
    assert await received(harness, "late") == [Message(b"after")]


async def test_subscribing_again_changes_nothing(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "same")
    await harness.open().publish(BILLING_EVENTS, [Message(b"one")])
    await harness.subscribe(BILLING_EVENTS, "same")
    assert await received(harness, "same") == [Message(b"one")]


async def test_an_acknowledged_message_does_not_come_again(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "all")
    await harness.open().publish(BILLING_EVENTS, [Message(b"one")])
    assert await received(harness, "all") == [Message(b"one")]
    assert await received(harness, "all") == []


async def test_a_failed_message_comes_again_for_that_subscription_only(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "failing")
    await harness.subscribe(BILLING_EVENTS, "fine")
    await harness.open().publish(BILLING_EVENTS, [Message(b"one")])
    assert await received(harness, "fine") == [Message(b"one")]
    for _ in range(4):
        (delivery,) = await harness.receive("failing")
        await delivery.failed()
    assert await received(harness, "failing") == [Message(b"one")]
    assert await received(harness, "fine") == []


async def test_nothing_is_lost_when_many_publish_at_once(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "all")
    buses = [harness.open() for _ in range(4)]
    messages = [Message(f"{number}".encode()) for number in range(200)]
    at_once = asyncio.Semaphore(20)

    async def publish(number: int) -> None:
        async with at_once:
            await buses[number % 4].publish(BILLING_EVENTS, messages[number : number + 2])

    await asyncio.gather(*(publish(number) for number in range(0, 200, 2)))
    arrived = await received(harness, "all")
    assert sorted(arrived, key=lambda message: int(message.data)) == messages


async def test_more_than_fits_one_request_of_pubsub_arrives_in_whole(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "all")
    messages = [Message(b"%d" % number) for number in range(1001)]
    large = [Message(bytes([number]) * 9_000_000, {"k" * 256: "v" * 1024}) for number in range(2)]
    await harness.open().publish(BILLING_EVENTS, [*messages, *large])
    arrived = await received(harness, "all")
    assert sorted(int(message.data) for message in arrived if len(message.data) < 9) == list(range(1001))
    assert sorted(message.data[0] for message in arrived if len(message.data) > 9) == [0, 1]


async def test_a_message_at_every_limit_at_once_is_taken(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "all")
    attributes = {f"{number:0>256}": "ü" * 512 for number in range(MAX_ATTRIBUTES)}
    full = Message(b"x" * (MAX_MESSAGE_BYTES - 100 * (256 + 1024)), attributes)
    await harness.open().publish(BILLING_EVENTS, [full])
    assert await received(harness, "all") == [full]
    too_large = Message(full.data + b"x", attributes)
    with pytest.raises(ValueError, match="a message of 9900001 bytes"):
        await harness.open().publish(BILLING_EVENTS, [too_large])


@pytest.mark.parametrize(
    ("topic", "bad"),
    [
        ("billing-event", Message(b"x")),
        ("", Message(b"x")),
        (BILLING_EVENTS, Message(b"")),
        (BILLING_EVENTS, Message(b"x" * (MAX_MESSAGE_BYTES + 1))),
        (BILLING_EVENTS, Message(b"x", {"": "value"})),
        (BILLING_EVENTS, Message(b"x", {"n" * 257: "value"})),
        (BILLING_EVENTS, Message(b"x", {"googclient": "value"})),
        (BILLING_EVENTS, Message(b"x", {"name": "v" * 1025})),
        (BILLING_EVENTS, Message(b"x", {"name": "€" * 342})),
        (BILLING_EVENTS, Message(b"x", {"€" * 86: "value"})),
        (BILLING_EVENTS, Message(b"x", {"name": "\ud800"})),
        (BILLING_EVENTS + "-dead-letter", Message(b"x")),
        (BILLING_EVENTS, Message(b"x", {str(number): "v" for number in range(101)})),
    ],
)
async def test_what_pubsub_refuses_is_refused_with_all_that_came_with_it(
    harness: Harness, topic: str, bad: Message
) -> None:
    """P9."""
    await harness.subscribe(BILLING_EVENTS, "all")
    with pytest.raises(ValueError, match=r"topic|message|attribute|surrogates"):
        await harness.open().publish(topic, [Message(b"good"), bad])
    assert await received(harness, "all") == []


async def test_publishing_nothing_is_no_error_but_an_unknown_topic_is(harness: Harness) -> None:
    bus = harness.open()
    await bus.publish(BILLING_EVENTS, [])
    with pytest.raises(ValueError, match="no topic"):
        await bus.publish("nowhere", [])


async def test_a_closed_bus_is_unavailable(harness: Harness) -> None:
    await harness.subscribe(BILLING_EVENTS, "all")
    bus = harness.open()
    await bus.publish(BILLING_EVENTS, [Message(b"one")])
    await bus.close()
    with pytest.raises(Unavailable):
        await bus.publish(BILLING_EVENTS, [Message(b"two")])
