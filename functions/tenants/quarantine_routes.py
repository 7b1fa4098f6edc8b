"""HTTP routes of the quarantine, for operators of the platform."""

import base64
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from functions.tenants.quarantine import EVERYTHING, Selection, Shelf
from shared.errors import invalid
from shared.http import Call, Response, Route, json_response
from shared.http.pagination import Listing
from shared.quarantine import Quarantined

READ = "platform:quarantine:read"
WRITE = "platform:quarantine:write"


Cursor = Annotated[str, Meta(min_length=1, max_length=2048)]


_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class Asked(Selection, frozen=True):
    """The query of the list, `Paging` and filters."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Cursor | None = None


class ReplayRequest(Selection, frozen=True):
    """A request without any filter must set `all`. `limit` is how many messages this call examines."""

    all: bool = False
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    cursor: Cursor | None = None


class SummaryView(msgspec.Struct, frozen=True):
    id: str
    reason: str
    detail: str
    function: str
    topic: str
    subscription: str
    event_type: str
    tenant_id: str
    message_id: str
    published_at: datetime | None
    received_at: datetime
    attempts: int | None
    complete: bool


class MessageView(SummaryView, frozen=True):
    """`data` is base64."""

    attributes: dict[str, str]
    data: str


class Handlers:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def listed(self, call: Call) -> Response:
        asked = call.query(Asked)
        found = await self._shelf.listed(_selection(asked, "?"), asked.limit, asked.cursor)
        return json_response(Listing([_summary(kept) for kept in found.items], found.next_cursor))

    async def get(self, call: Call) -> Response:
        kept = await self._shelf.read(call.params["quarantine_id"], call.actor)
        data = base64.b64encode(kept.data()).decode()
        summary = msgspec.structs.asdict(_summary(kept))
        return json_response(MessageView(**summary, attributes=kept.attributes, data=data))

    async def replay(self, call: Call) -> Response:
        await self._shelf.replay(call.params["quarantine_id"], call.actor)
        return Response(204)

    async def replay_all(self, call: Call) -> Response:
        asked = await call.json(ReplayRequest)
        selection = _selection(asked, "/")
        if asked.all == (selection != EVERYTHING):
            raise invalid("/all", "invalid_selection", "Give a filter, or without any `all`: true.")
        return json_response(await self._shelf.replay_all(selection, asked.limit, asked.cursor, call.actor))

    async def dismiss(self, call: Call) -> Response:
        await self._shelf.dismiss(call.params["quarantine_id"], call.actor)
        return Response(204)


def table(shelf: Shelf) -> tuple[Route, ...]:
    on = Handlers(shelf)
    return (
        Route("GET", "/v1/quarantine", on.listed, READ),
        Route("POST", "/v1/quarantine/replay", on.replay_all, WRITE),
        Route("GET", "/v1/quarantine/{quarantine_id}", on.get, READ),
        Route("DELETE", "/v1/quarantine/{quarantine_id}", on.dismiss, WRITE),
        Route("POST", "/v1/quarantine/{quarantine_id}/replay", on.replay, WRITE),
    )


def _selection(asked: Selection, where: str) -> Selection:
    """Checks the filters. `where` is the prefix of a field's path in errors. Raises Invalid."""
    for name in ("since", "until"):
        try:
            (getattr(asked, name) or _ANY_TIME).astimezone(UTC)
        except OverflowError:
            raise invalid(where + name, "invalid_value", "Give a time that UTC has, too.") from None
    return Selection(**{name: getattr(asked, name) for name in Selection.__struct_fields__})


def _summary(kept: Quarantined) -> SummaryView:
    return SummaryView(
        id=kept.id,
        reason=kept.reason,
        detail=kept.detail,
        function=kept.function,
        topic=kept.topic,
        subscription=kept.subscription,
        event_type=kept.event_type,
        tenant_id=kept.subject,
        message_id=kept.message_id,
        published_at=kept.published_at,
        received_at=kept.received_at,
        attempts=kept.attempts,
        complete=not (kept.whole_request or kept.truncated),
    )
