"""Dead letters: a message that failed too often at a subscription is published to a dead-letter topic."""

from datetime import UTC, datetime

import msgspec

from shared.bus import AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS, TOPICS, Message
from shared.envelope import Delivery

SUFFIX = "-dead-letter"
PUSH_SUFFIX = f"{SUFFIX}-push"
"""The suffix of the names of subscriptions that push dead letters to event doors."""
MAX_ATTEMPTS = 5

DELIVERY_COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"
SOURCE_SUBSCRIPTION = "CloudPubSubDeadLetterSourceSubscription"
SOURCE_PROJECT = "CloudPubSubDeadLetterSourceSubscriptionProject"
PUBLISH_TIME = "CloudPubSubDeadLetterSourceTopicPublishTime"

OWN_TOPICS = {"auth": AUTH_EVENTS, "billing": BILLING_EVENTS, "tenants": TENANT_EVENTS}
"""By function, the topic that is pushed to its event door, along with that topic's dead letters."""

_ADDED = "CloudPubSub"
_MAX_COUNT_CHARS = 6


def topic_for(topic: str) -> str:
    """The dead-letter topic of a topic. ValueError if it has none."""
    if topic not in TOPICS:
        raise ValueError(f"{topic!r} has no dead letters")
    return topic + SUFFIX


def dead_letter(
    message: Message, *, subscription: str, project: str, published_at: datetime, attempts: int
) -> Message:
    """The message as Pub/Sub forwards it. `subscription` and `project` are short names."""
    source = {
        DELIVERY_COUNT: str(attempts),
        SOURCE_SUBSCRIPTION: subscription,
        SOURCE_PROJECT: project,
        PUBLISH_TIME: published_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return msgspec.structs.replace(message, attributes={**message.attributes, **source})


def is_one(delivery: Delivery) -> bool:
    """Decided by the subscription, and not by attributes, which any publisher can set."""
    return delivery.subscription.endswith(PUSH_SUFFIX) or delivery.topic.endswith(SUFFIX)


def original(letter: Delivery, function: str) -> Delivery:
    """The message that failed, with its own topic, subscription, publish time and number of attempts, and
    without the attributes that Pub/Sub added. The message id is the dead letter's: Pub/Sub does not pass on
    the original one.
    """
    added = letter.attributes
    topic = letter.topic.removesuffix(SUFFIX)
    return msgspec.structs.replace(
        letter,
        topic=topic if topic in TOPICS else OWN_TOPICS.get(function, ""),
        subscription=_subscription(added.get(SOURCE_SUBSCRIPTION, ""), added.get(SOURCE_PROJECT, "")),
        publish_time=_time(added.get(PUBLISH_TIME, "")),
        attempt=_count(added.get(DELIVERY_COUNT, "")),
        attributes={name: value for name, value in added.items() if not name.startswith(_ADDED)},
    )


def _subscription(name: str, project: str) -> str:
    return f"projects/{project}/subscriptions/{name}" if project and "/" not in name else name


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_COUNT_CHARS else None


def _time(text: str) -> datetime | None:
    """None for a malformed time: a dead letter is kept even so."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
