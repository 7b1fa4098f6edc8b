"""The quarantine: messages that cannot succeed, or did not in all their attempts, stored with the reason."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec

from shared.bus import dead_letters
from shared.envelope import Delivery
from shared.events import CloudEvent, to_message
from shared.ids import Clock, new_id
from shared.metrics import Reading
from shared.store import AlreadyExists, Create, DocumentTooLarge, Query, Store
from shared.store.bodies import stamp, to_body

MAX_KEPT_TEXT_BYTES = 830_000
"""In JSON. Text up to this size is stored whole, so that it can be sent again."""
MAX_KEPT_BYTES = 400_000
"""Of any other body."""
MAX_KEPT_ATTRIBUTE_BYTES = 150_000
CUT_CHARS = 50_000
"""How much of a body, as text or base64, is left if the store finds the document too large."""
MAX_DETAIL_CHARS = 500
MAX_NAME_CHARS = 256
DEAD_LETTERED = "dead_lettered"
"""The `reason` of a message that failed in all its attempts. Other messages could never succeed."""

NEWEST = Query("quarantine_newest", "quarantine", order="received_at", descending=True)
NEWEST_OF = {
    field: Query(
        f"quarantine_newest_of_{field}", "quarantine", equal=(field,), order="received_at", descending=True
    )
    for field in ("subject", "event_type", "reason", "function")
}
"""By field, the most selective first."""
QUERIES = (NEWEST, *(NEWEST_OF[field] for field in NEWEST_OF))


class Quarantined(msgspec.Struct, frozen=True):
    """A message, or with `whole_request` the body of a request that is no message.

    `body` is text if `is_text`, else base64; `data` decodes it. `truncated`: some of the body or the
    attributes was too large to store. `topic` is where it belongs. `attempts` is how often it had been
    delivered; None if the sender does not count.
    """

    id: str
    reason: str
    detail: str
    function: str
    received_at: datetime
    message_id: str
    topic: str
    subscription: str
    attributes: dict[str, str]
    body: str
    truncated: bool
    whole_request: bool = False
    event_type: str = ""
    subject: str = ""
    published_at: datetime | None = None
    attempts: int | None = None
    is_text: bool = False

    def data(self) -> bytes:
        """The body, or what was stored of it."""
        return self.body.encode() if self.is_text else base64.b64decode(self.body)


class Quarantine:
    """The quarantine of one function (`auth`, `billing`, `tenants`); all of them share one collection."""

    def __init__(self, store: Store, clock: Clock, function: str) -> None:
        self._store = store
        self._scope = store.platform()
        self._clock = clock
        self._function = function
        self._written = 0

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of it."""
        help_text = "Messages, requests and parts of batches set aside; a redelivery counts again."
        yield Reading("energent_quarantine_writes", help_text, self._written)

    def write(
        self,
        delivery: Delivery,
        reason: str,
        detail: str,
        event: CloudEvent | None = None,
        *,
        part: int | None = None,
    ) -> Create:
        """The write that keeps a message, for `put` or for a commit of one's own.

        With `part`, the place of one event in a batch, it keeps that one: `event`, then required, is the
        batch's event cut down to it, and what a replay sends, with attributes of its own. The same message
        makes the same key, so a redelivery meets `AlreadyExists` with a key of kind `quarantine`; commit
        again without that write.
        """
        if part is not None and event is not None:
            alone = to_message(event)
            delivery = msgspec.structs.replace(delivery, data=alone.data, attributes=alone.attributes)
        names = (self._function, delivery.topic, delivery.subscription, delivery.message_id, part)
        return self._create(_about(event, self._kept(delivery, reason, detail, _id(delivery, names))))

    def write_dead_letter(self, letter: Delivery, event: CloudEvent | None) -> Create:
        """The write that keeps the message whose dead letter this is (`dead_letters.is_one`).

        Pub/Sub may make several letters of one message, and deliver each several times: all have one key.
        Sent again and given up again it is another message.
        """
        given_up = dead_letters.original(letter, self._function)
        published = stamp(given_up.publish_time) if given_up.publish_time else letter.message_id
        attributes = sorted(given_up.attributes.items())
        names = (self._function, given_up.topic, given_up.subscription, published, attributes)
        attempts = "all its" if given_up.attempt is None else given_up.attempt
        detail = f"It failed in {attempts} attempts. The log says why; if that is mended, replay it."
        kept = self._kept(given_up, DEAD_LETTERED, detail, _id(given_up, names))
        return self._create(_about(event, kept))

    def write_request(
        self, headers: Mapping[str, str], body: bytes | None, reason: str, detail: str
    ) -> Create:
        """The same for a request that no message could be made of; without a body, one too long to read.

        Of the headers only `ce-id` is kept.
        """
        whole = Delivery(headers.get("ce-id", ""), body or b"", {})
        kept = self._kept(whole, reason, detail, _id(whole, (self._function, "", "", whole.message_id, None)))
        truncated = kept.truncated or body is None
        return self._create(msgspec.structs.replace(kept, whole_request=True, truncated=truncated))

    async def put(self, write: Create) -> None:
        """Commits it alone, cut where the store finds it too large. A message that is kept already is no
        error. Raises `Unavailable`.
        """
        with suppress(AlreadyExists):
            try:
                await self._store.commit(write)
            except DocumentTooLarge:
                await self._store.commit(_cut(write))

    def _create(self, kept: Quarantined) -> Create:
        self._written += 1
        return Create(self._scope.key("quarantine", kept.id), to_body(kept))

    def _kept(self, delivery: Delivery, reason: str, detail: str, quarantine_id: str) -> Quarantined:
        too_many = len(msgspec.json.encode(delivery.attributes)) > MAX_KEPT_ATTRIBUTE_BYTES
        text = _text(delivery.data)
        is_cut = text is None and len(delivery.data) > MAX_KEPT_BYTES
        return Quarantined(
            id=quarantine_id,
            reason=reason,
            detail=detail[:MAX_DETAIL_CHARS],
            function=self._function,
            received_at=self._clock(),
            message_id=delivery.message_id[:MAX_NAME_CHARS],
            topic=delivery.topic[:MAX_NAME_CHARS] or dead_letters.OWN_TOPICS.get(self._function, ""),
            subscription=delivery.subscription[:MAX_NAME_CHARS],
            attributes={} if too_many else delivery.attributes,
            body=base64.b64encode(delivery.data[:MAX_KEPT_BYTES]).decode() if text is None else text,
            truncated=too_many or is_cut,
            published_at=delivery.publish_time,
            attempts=delivery.attempt,
            is_text=text is not None,
        )


def _cut(write: Create) -> Create:
    """The write with so little of the body that it fits any document."""
    less = {"body": write.body["body"][:CUT_CHARS], "attributes": {}, "truncated": True}
    return Create(write.key, write.body | less)


def _text(data: bytes) -> str | None:
    """The data as text; None if it is none, or too long."""
    if len(data) > MAX_KEPT_TEXT_BYTES:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if len(msgspec.json.encode(text)) <= MAX_KEPT_TEXT_BYTES else None


def _about(event: CloudEvent | None, kept: Quarantined) -> Quarantined:
    if event is None:
        return kept
    return msgspec.structs.replace(kept, event_type=event.type, subject=event.subject)


def _id(delivery: Delivery, names: tuple[object, ...]) -> str:
    """The document's id, derived from the message, so that a redelivery is stored once; random for an empty
    one.

    The data is part of it, since a publisher may use a message id twice.
    """
    if not delivery.message_id and not delivery.data:
        return new_id("qrn")
    digest = hashlib.sha256(msgspec.json.encode(names) + delivery.data).digest()
    return "qrn_" + base64.b32encode(digest[:16]).decode().rstrip("=").lower()
