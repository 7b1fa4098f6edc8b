"""Messages that can never succeed: kept with their reason, listed, and sent again on an operator's word."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from shared import audit
from shared.audit import Actor
from shared.bus import Message
from shared.envelope import Delivery
from shared.errors import Conflict, NotFound
from shared.events import CloudEvent, to_message
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.store import AlreadyExists, Create, Delete, Doc, Query, Store, until_not_stale
from shared.store.bodies import from_body, to_body

MAX_KEPT_BYTES = 400_000
MAX_KEPT_ATTRIBUTE_BYTES = 150_000
MAX_DETAIL_CHARS = 500
MAX_NAME_CHARS = 256
OPERATORS = "platform"
"""The tenant whose audit log says who replayed what."""

NEWEST = Query("quarantine_newest", "quarantine", order="received_at", descending=True)
QUERIES = (NEWEST,)


class Quarantined(msgspec.Struct, frozen=True):
    """A message, or with `whole_request` a request body that no message could be made of.

    `body` is base64. `truncated`: some of the body or the attributes was too much to keep.
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


class Listed(msgspec.Struct, frozen=True):
    items: list[Quarantined]
    next_cursor: str | None


class Quarantine:
    """The quarantine as one function (`auth`, `billing`, `tenants`) fills it; all of them share the shelf."""

    def __init__(self, store: Store, clock: Clock, function: str) -> None:
        self._store = store
        self._scope = store.platform()
        self._clock = clock
        self._function = function

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
        kept = self._kept(delivery, reason, detail, part)
        if event is not None:
            kept = msgspec.structs.replace(kept, event_type=event.type, subject=event.subject)
        return self._create(kept)

    def write_request(
        self, headers: Mapping[str, str], body: bytes | None, reason: str, detail: str
    ) -> Create:
        """The same for a request that no message could be made of; without a body, one too long to read.

        Of the headers only `ce-id` is kept.
        """
        kept = self._kept(Delivery(headers.get("ce-id", ""), body or b"", {}), reason, detail)
        truncated = kept.truncated or body is None
        return self._create(msgspec.structs.replace(kept, whole_request=True, truncated=truncated))

    async def put(self, write: Create) -> None:
        """Commits it alone; a message that is kept already is no error. Raises `Unavailable`."""
        try:
            await self._store.commit(write)
        except AlreadyExists:
            return

    async def list(self, limit: int = 50, cursor: str | None = None) -> Listed:
        """Newest first. ValueError for a broken cursor."""
        page = await self._scope.query(NEWEST, limit=limit, cursor=cursor)
        return Listed([_value(doc) for doc in page.docs], page.cursor)

    async def get(self, quarantine_id: str) -> Quarantined:
        """Raises `NotFound`."""
        return _value(await self._found(quarantine_id))

    async def replay(self, quarantine_id: str, outbox: Outbox, actor: Actor) -> None:
        """Sends the message to its topic again and takes it off the shelf, in one commit.

        Raises `NotFound`, and `Conflict` for what was kept in part or cannot be a message.
        """

        async def attempt() -> None:
            doc = await self._found(quarantine_id)
            kept = _value(doc)
            try:
                entry = outbox.entry(kept.topic, _message(kept))
            except ValueError as refused:
                raise Conflict("not_replayable", f"This cannot be sent again: {refused}.") from None
            await self._store.commit(
                entry,
                Delete(doc.key, doc.version),
                audit.record(
                    self._store,
                    OPERATORS,
                    actor=actor,
                    action="quarantine.replay",
                    target=quarantine_id,
                    at=self._clock(),
                    detail={"reason": kept.reason, "message_id": kept.message_id},
                ),
            )

        await until_not_stale(attempt)

    async def _found(self, quarantine_id: str) -> Doc:
        doc = await self._scope.get("quarantine", quarantine_id)
        if doc is None:
            raise NotFound("no_such_message", "There is no such message in the quarantine.")
        return doc

    def _create(self, kept: Quarantined) -> Create:
        return Create(self._scope.key("quarantine", kept.id), to_body(kept))

    def _kept(self, delivery: Delivery, reason: str, detail: str, part: int | None = None) -> Quarantined:
        too_many = len(msgspec.json.encode(delivery.attributes)) > MAX_KEPT_ATTRIBUTE_BYTES
        return Quarantined(
            id=_id(self._function, delivery, part),
            reason=reason,
            detail=detail[:MAX_DETAIL_CHARS],
            function=self._function,
            received_at=self._clock(),
            message_id=delivery.message_id[:MAX_NAME_CHARS],
            topic=delivery.topic[:MAX_NAME_CHARS],
            subscription=delivery.subscription[:MAX_NAME_CHARS],
            attributes={} if too_many else delivery.attributes,
            body=base64.b64encode(delivery.data[:MAX_KEPT_BYTES]).decode(),
            truncated=too_many or len(delivery.data) > MAX_KEPT_BYTES,
        )


def _id(function: str, delivery: Delivery, part: int | None) -> str:
    """From what it is, so that a redelivery keeps nothing twice; random where nothing is known of it.

    The data counts too: a publisher may use a message id twice.
    """
    if not delivery.message_id and not delivery.data:
        return new_id("qrn")
    names = (function, delivery.topic, delivery.subscription, delivery.message_id, part)
    digest = hashlib.sha256(msgspec.json.encode(names) + delivery.data).digest()
    return "qrn_" + base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def _value(doc: Doc) -> Quarantined:
    return from_body(doc.body, Quarantined)


def _message(kept: Quarantined) -> Message:
    """ValueError where what is kept is not all of a message."""
    if kept.whole_request or kept.truncated:
        raise ValueError("it is not all of a message")
    return Message(base64.b64decode(kept.body), kept.attributes)
