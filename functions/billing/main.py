"""Entry point and composition root of billing."""

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.billing import events, records, routes
from functions.billing.closing import Closing
from functions.billing.collection import Collection
from functions.billing.customers import Customers
from functions.billing.domain.catalogue import EXAMPLE
from functions.billing.invoices import Invoices
from functions.billing.payments import Payments
from functions.billing.stripe_api import StripeApi
from functions.billing.stripe_secrets import StripeSecrets
from functions.billing.subscriptions import Subscriptions
from functions.billing.tenants import BilledTenants
from functions.billing.usage import Recorder
from functions.billing.usage_report import UsageReports
from functions.billing.webhooks import Webhooks
from shared import entry, logs, outbox, quarantine, revocations
from shared.config import load
from shared.entry import Entry
from shared.http import server
from shared.http.app import App
from shared.ids import utc_now
from shared.metrics import Metrics
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import Quarantine
from shared.store.metered import MeteredStore

CONFIG = load(os.environ, "billing")
QUERIES = records.QUERIES + outbox.QUERIES + quarantine.QUERIES + revocations.QUERIES


async def _build() -> App:
    metrics = Metrics(CONFIG.function, CONFIG.version)
    bus = entry.open_bus(CONFIG)
    store = PublishingStore(MeteredStore(entry.open_store(CONFIG, QUERIES), metrics), bus)
    try:
        sent = Outbox(store, bus, utc_now, "billing")
        keys = _stripe_secrets(metrics)
        stripe = StripeApi(CONFIG.stripe, keys) if CONFIG.stripe and keys else None
        payments = Payments(store, sent, utc_now)
        customers = Customers(store, utc_now)
        webhooks = Webhooks(store, sent, payments, customers, keys, stripe, utc_now)
        set_aside = Quarantine(store, utc_now, "billing")
        metrics.watch(store, sent, set_aside)
        handlers = events.table(
            Recorder(store, set_aside, utc_now, EXAMPLE.meters, BilledTenants(store, utc_now).check),
            Subscriptions(store, utc_now, EXAMPLE.currency),
            Closing(store, sent, EXAMPLE, utc_now),
            Collection(store, payments, customers, stripe, utc_now),
            webhooks,
            sent,
        )
        door = entry.event_door(CONFIG, handlers, set_aside, utc_now, metrics)
        table = routes.table(UsageReports(store, utc_now, EXAMPLE.meters), Invoices(store), webhooks)
        return entry.make_app(CONFIG, store, utc_now, table, door, metrics)
    except BaseException:
        await store.close()
        await bus.close()
        raise


def _stripe_secrets(metrics: Metrics) -> StripeSecrets | None:
    """None if Stripe is not configured."""
    if CONFIG.stripe is None:
        return None
    secrets = entry.open_secrets(CONFIG, utc_now)
    metrics.watch(secrets)
    return StripeSecrets(CONFIG.stripe, secrets)


ENTRY = Entry(_build)
server.configure()
logs.configure(CONFIG.firestore_project, CONFIG.service, CONFIG.version)


@functions_framework.aio.http
async def billing_handler(request: Request) -> Response:
    return await ENTRY(request)
