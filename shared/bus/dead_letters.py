"""Dead letters: what failed too often at one subscription is published again, to a topic of its own."""

from datetime import datetime

import msgspec

from shared.bus import TOPICS, Message

SUFFIX = "-dead-letter"
MAX_ATTEMPTS = 5

DELIVERY_COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"
SOURCE_SUBSCRIPTION = "CloudPubSubDeadLetterSourceSubscription"
SOURCE_PROJECT = "CloudPubSubDeadLetterSourceSubscriptionProject"
PUBLISH_TIME = "CloudPubSubDeadLetterSourceTopicPublishTime"


def topic_for(topic: str) -> str:
    """Where the dead letters of a topic go. ValueError for one that has none."""
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
