"""Entry point and composition root of tenants."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.tenants import events, records, routes
from functions.tenants.lifecycle import Lifecycle
from functions.tenants.provisioning import Provisioning
from shared import entry, logs, outbox, quarantine
from shared.config import load
from shared.entry import Entry
from shared.http.app import App
from shared.http.idempotency import Idempotency
from shared.ids import utc_now
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import Quarantine

CONFIG = load(os.environ, "tenants")
QUERIES = records.QUERIES + outbox.QUERIES + quarantine.QUERIES


async def _build() -> App:
    bus = entry.open_bus(CONFIG)
    store = PublishingStore(entry.open_store(CONFIG, QUERIES), bus)
    try:
        sent = Outbox(store, bus, utc_now, "tenants")
        handlers = events.table(Provisioning(store, sent, utc_now), sent)
        door = entry.event_door(CONFIG, handlers, Quarantine(store, utc_now, "tenants"), utc_now)
        table = routes.table(Lifecycle(store, sent, utc_now), Idempotency(store, utc_now))
        return entry.make_app(CONFIG, store, utc_now, table, door)
    except BaseException:
        await store.close()
        await bus.close()
        raise


ENTRY = Entry(_build)
logs.configure(CONFIG.firestore_project)


@functions_framework.aio.http
async def tenant_handler(request: Request) -> Response:
    return await ENTRY(request)
