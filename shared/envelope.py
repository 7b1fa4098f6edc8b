"""Every shape in which Pub/Sub, Eventarc and Secret Manager hand over a message, made one `Delivery`."""

from datetime import datetime

import msgspec


class Delivery(msgspec.Struct, frozen=True):
    """One message as it arrived. `attempt` is None where the sender does not say."""

    message_id: str
    data: bytes
    attributes: dict[str, str]
    subscription: str = ""
    topic: str = ""
    publish_time: datetime | None = None
    attempt: int | None = None
