"""Dead letters: a message that Pub/Sub gave up on is on the shelf once, as it was before."""

import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import quarantine
from shared.envelope import Delivery
from shared.errors import Unavailable
from shared.event_door import EventDoor
from shared.events import CloudEvent
from shared.metrics import Metrics
from shared.quarantine import Quarantine, Quarantined
from shared.store.sqlite import SqliteStore
from tests.shelf import shelved
from tests.tokens import Time
from tests.unit.events.deliveries import BINARY, encoded, event_bytes, message
from tests.unit.events.senders import bearer, check, signed

pytestmark = pytest.mark.anyio

LETTER = BINARY | {"ce-source": "//pubsub.googleapis.com/projects/p/topics/billing-events-dead-letter"}
PUSHED = {"content-type": "application/json"}
"""A plain push subscription, which does not say of which topic."""
ADDED = {
    "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    "CloudPubSubDeadLetterSourceSubscription": "eventarc-us-central1-billing-1",
    "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-04T11:59:00.732+00:00",
}
OWN = {"type": "ai.energent.tenant.created.v1", "subject": "tnt_acme"}


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Time()
        self.store = SqliteStore(folder / "store.db", quarantine.QUERIES)
        self.handled: list[Delivery] = []
        self.metrics = Metrics("billing", "test")
        self.door = EventDoor(
            {"tenant.created": self._handle},
            check(folder / "jwks.json", self.clock),
            Quarantine(self.store, self.clock, "billing"),
            log=logging.getLogger("door"),
            notifications={"SECRET_ROTATE": self._notify},
            metrics=self.metrics,
        )

    async def send(
        self,
        headers: dict[str, str] = LETTER,
        attributes: dict[str, str] = OWN | ADDED,
        subscription: str = "billing-events-dead-letter-push",
        **changes: Any,
    ) -> int:
        """The status. `attributes`: those of the letter; a name that is `...` in `changes` is left out."""
        body = {"message": message(attributes=attributes, **changes), "deliveryAttempt": 1}
        body["subscription"] = f"projects/p/subscriptions/{subscription}"

        async def read_body(limit: int) -> bytes:
            return msgspec.json.encode(body)

        try:
            return (await self.door.handle({**headers, **bearer(signed())}, read_body)).status
        except Unavailable as outage:
            return outage.status

    async def kept(self) -> list[Quarantined]:
        return await shelved(self.store)

    async def _handle(self, event: CloudEvent, delivery: Delivery) -> None:
        self.handled.append(delivery)

    async def _notify(self, delivery: Delivery) -> None:
        self.handled.append(delivery)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.store.close()


@pytest.mark.parametrize("headers", [LETTER, PUSHED])
async def test_a_dead_letter_is_kept_as_the_message_it_was(world: World, headers: dict[str, str]) -> None:
    """P15."""
    assert await world.send(headers) == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.function, kept.topic) == ("dead_lettered", "billing", "billing-events")
    assert kept.subscription == "projects/p/subscriptions/eventarc-us-central1-billing-1"
    assert kept.attempts == 5
    assert kept.published_at is not None
    assert kept.published_at.isoformat() == "2026-03-04T11:59:00.732000+00:00"
    assert (kept.attributes, kept.data()) == (OWN, event_bytes())
    assert (kept.event_type, kept.subject) == (OWN["type"], "tnt_acme")
    assert (kept.truncated, kept.whole_request) == (False, False)
    assert "5 attempts" in kept.detail
    assert world.handled == []


async def test_a_letter_of_another_topic_of_ours_goes_back_there(world: World) -> None:
    source = "//pubsub.googleapis.com/projects/p/topics/{}-dead-letter"
    await world.send(LETTER | {"ce-source": source.format("tenant-events")})
    await world.send(LETTER | {"ce-source": source.format("somebody-elses")}, data=encoded(b"{}"))
    assert [kept.topic for kept in await world.kept()] == ["billing-events", "tenant-events"]


async def test_a_letter_that_is_delivered_or_made_twice_is_kept_once(world: World) -> None:
    for message_id in ("1", "1", "2"):
        assert await world.send(messageId=message_id) == 204
        world.clock.move(60)
    assert len(await world.kept()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-04T12:10:00.001+00:00"},
        {"CloudPubSubDeadLetterSourceSubscription": "other"},
        {"type": "other"},
    ],
)
async def test_a_message_that_is_sent_again_and_given_up_again_is_kept_anew(
    world: World, changes: dict[str, str]
) -> None:
    await world.send()
    await world.send(attributes=OWN | ADDED | changes)
    await world.send(data=encoded(event_bytes(id="other")))
    assert len(await world.kept()) == 3


@pytest.mark.parametrize(
    "said",
    [
        {"CloudPubSubDeadLetterSourceTopicPublishTime": "yesterday"},
        {"CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-04T12:00:00"},
        {"CloudPubSubDeadLetterSourceTopicPublishTime": "0001-01-01T00:00:00+14:00"},
        {"CloudPubSubDeadLetterSourceDeliveryCount": "-1"},
        {"CloudPubSubDeadLetterSourceDeliveryCount": "٣"},
        {"CloudPubSubDeadLetterSourceDeliveryCount": "9" * 5000},
        {"CloudPubSubDeadLetterSourceSubscription": "projects/q/subscriptions/s"},
        {"CloudPubSubDeadLetterSourceSubscription": ""},
    ],
)
async def test_a_letter_is_kept_whatever_it_says_of_itself(world: World, said: dict[str, str]) -> None:
    for message_id in ("1", "1"):
        assert await world.send(attributes=OWN | ADDED | said, messageId=message_id) == 204
    (kept,) = await world.kept()
    assert kept.attributes == OWN
    assert (kept.attempts is None) == ("CloudPubSubDeadLetterSourceDeliveryCount" in said)
    assert (kept.published_at is None) == ("CloudPubSubDeadLetterSourceTopicPublishTime" in said)


async def test_a_letter_that_says_nothing_but_its_source_is_kept(world: World) -> None:
    source = {"CloudPubSubDeadLetterSourceSubscription": "billing-events-push"}
    assert await world.send(attributes=source) == 204
    (kept,) = await world.kept()
    assert (kept.subscription, kept.attributes) == ("billing-events-push", {})


@pytest.mark.parametrize("data", [b"", b"no json", b"\xff", b"[1]"])
async def test_a_letter_without_an_event_is_kept_all_the_same(world: World, data: bytes) -> None:
    assert await world.send(data=base64.b64encode(data).decode()) == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.data(), kept.event_type, kept.subject) == ("dead_lettered", data, "", "")


async def test_a_notification_that_was_given_up_reaches_no_handler(world: World) -> None:
    assert await world.send(data="", attributes={"eventType": "SECRET_ROTATE"} | ADDED) == 204
    (kept,) = await world.kept()
    assert kept.attributes == {"eventType": "SECRET_ROTATE"}
    assert world.handled == []


async def test_a_letter_comes_again_while_it_cannot_be_kept(world: World) -> None:
    await world.store.close()
    assert await world.send() == 503


async def test_a_letter_is_an_error_in_the_log_and_a_number_in_the_metrics(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.send()
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "dead letter of tenant.created: message 17")
    line = b'energent_event_duration_seconds_count{outcome="dead_lettered",type="tenant.created"} 1.0'
    assert line in world.metrics.text()


@pytest.mark.parametrize("headers", [BINARY, PUSHED])
async def test_whoever_publishes_cannot_make_a_dead_letter(world: World, headers: dict[str, str]) -> None:
    """P15: an attribute is anybody's; the way a message came is not."""
    for subscription in ("billing-events-push", "eventarc-us-central1-billing-1"):
        assert await world.send(headers, subscription=subscription) == 204
    assert [taken.attributes for taken in world.handled] == [OWN | ADDED] * 2
    assert await world.kept() == []


async def test_what_says_nothing_of_itself_and_comes_as_a_dead_letter_is_one(world: World) -> None:
    """Somebody published to the dead letters: nothing would end its tries."""
    assert await world.send(PUSHED, OWN) == 204
    (kept,) = await world.kept()
    assert (kept.reason, kept.topic, kept.subscription) == ("dead_lettered", "billing-events", "")
    assert (kept.attributes, kept.attempts, kept.data()) == (OWN, None, event_bytes())
    assert world.handled == []


@pytest.mark.parametrize("letter", [b"\0", b"\x01"])
async def test_a_letter_of_control_characters_is_kept_whole_and_does_not_come_for_ever(
    world: World, letter: bytes
) -> None:
    """P6, P15."""
    data = letter * 130_000
    for headers, subscription in (
        (BINARY, "billing-events-push"),
        (PUSHED, "billing-events-dead-letter-push"),
    ):
        assert await world.send(headers, subscription=subscription, data=encoded(data)) == 204
    kept = await world.kept()
    assert {each.reason for each in kept} == {"event_not_json", "dead_lettered"}
    assert [(each.data(), each.truncated) for each in kept] == [(data, False)] * 2
