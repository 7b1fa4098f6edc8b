"""Entry point and composition root of tenants."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.tenants import events, records, routes
from functions.tenants.lifecycle import Lifecycle
from functions.tenants.provisioning import Provisioning
from functions.tenants.quarantine import Shelf
from shared import entry, logs, outbox, quarantine, revocations
from shared.config import load
from shared.entry import Entry
from shared.http import server
from shared.http.app import App
from shared.http.idempotency import Idempotency
from shared.ids import utc_now
from shared.metrics import Metrics
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import Quarantine
from shared.store.metered import MeteredStore

CONFIG = load(os.environ, "tenants")
QUERIES = records.QUERIES + outbox.QUERIES + quarantine.QUERIES + revocations.QUERIES


async def _build() -> App:
    metrics = Metrics(CONFIG.function, CONFIG.version)
    bus = entry.open_bus(CONFIG)
    store = PublishingStore(MeteredStore(entry.open_store(CONFIG, QUERIES), metrics), bus)
    try:
        sent = Outbox(store, bus, utc_now, "tenants")
        handlers = events.table(Provisioning(store, sent, utc_now), sent)
        set_aside = Quarantine(store, utc_now, "tenants")
        metrics.watch(store, sent, set_aside)
        door = entry.event_door(CONFIG, handlers, set_aside, utc_now, metrics)
        table = routes.table(
            Lifecycle(store, sent, utc_now), Shelf(store, sent, utc_now), Idempotency(store, utc_now)
        )
        return entry.make_app(CONFIG, store, utc_now, table, door, metrics)
    except BaseException:
        await store.close()
        await bus.close()
        raise


ENTRY = Entry(_build)
server.configure()
logs.configure(CONFIG.firestore_project, CONFIG.service, CONFIG.version)


@functions_framework.aio.http
async def tenant_handler(request: Request) -> Response:
    return await ENTRY(request)
