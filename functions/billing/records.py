"""Billing's documents: where they are, what is in them, the queries over them."""

import base64
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from datetime import date

import msgspec

from functions.billing.domain import metering, periods
from functions.billing.domain.invoices import Invoice, Usage
from functions.billing.domain.metering import Counter, Use
from functions.billing.domain.payments import Customer, Payment
from functions.billing.domain.periods import Period
from functions.billing.domain.subscriptions import Subscription
from shared import tenant
from shared.store import Add, Body, Create, Doc, Key, Query, Replace, Scope, Store, Version
from shared.store.bodies import from_body, stamp, to_body
from shared.tenant import Tenant

COUNTERS_BY_DAY = Query("usage_counters_by_day", "usage", order="day")
COUNTERS_OF_METER = Query("usage_counters_of_meter", "usage", equal=("meter",), order="day")
INVOICES_NEWEST = Query("invoices_newest", "invoices", order="finalized_at", descending=True)
PAYMENTS_DUE = Query("payments_due", "payments", order="collect_after")
PAYMENTS_OF_STRIPE_INVOICE = Query("payments_of_stripe_invoice", "payments", equal=("stripe_invoice_id",))
TENANTS = Query("billing_tenants", "tenants")
QUERIES = (
    COUNTERS_BY_DAY,
    COUNTERS_OF_METER,
    INVOICES_NEWEST,
    PAYMENTS_DUE,
    PAYMENTS_OF_STRIPE_INVOICE,
    TENANTS,
)

PAGE = 1000
TENANTS_PAGE = 200

_SUM_FIELDS = tuple(f"s{quarter}" for quarter in range(96))
_COUNT_FIELDS = tuple(f"n{quarter}" for quarter in range(96))


class Sum(msgspec.Struct, frozen=True, gc=False):
    """What counters add up to."""

    quantity_micro: int
    events: int


class FoundSubscription(msgspec.Struct, frozen=True):
    """The subscription as it is stored, or without a `version` as it begins."""

    key: Key
    value: Subscription
    version: Version | None

    def write(self, value: Subscription) -> Create | Replace:
        """The write that stores the new value, if nobody was faster."""
        body = to_body(value)
        return Create(self.key, body) if self.version is None else Replace(self.key, body, self.version)


class FoundPayment(msgspec.Struct, frozen=True):
    """A payment as it is stored."""

    tenant_id: str
    key: Key
    value: Payment
    version: Version

    def replace(self, value: Payment) -> Replace:
        return Replace(self.key, to_body(value), self.version)


class Owner(msgspec.Struct, frozen=True):
    """`stripe_customers/{id}`: whose customer it is."""

    tenant_id: str


def event_key(scope: Scope, tenant_id: str, source: str, event_id: str) -> Key:
    """Deduplicates for ever: named by a hash of (tenant, source, id), each with its length before it."""
    parts = (tenant_id.encode(), source.encode(), event_id.encode())
    named = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    digest = base64.b32encode(hashlib.sha256(named).digest()).decode()
    return scope.key("usage_events", digest.rstrip("=").lower())


def event_body(use: Use, received_at: str) -> Body:
    return {
        "source": use.source,
        "id": use.id,
        "meter": use.meter,
        "quantity_micro": use.quantity_micro,
        "time": stamp(use.time),
        "received_at": received_at,
    }


def is_same_event(body: Body, use: Use) -> bool:
    """Whether a stored event says what this one says; their names are equal already."""
    said = (body["meter"], body["quantity_micro"], body["time"])
    return said == (use.meter, use.quantity_micro, stamp(use.time))


def counter_adds(scope: Scope, uses: Iterable[Use], shard: int) -> list[Add]:
    """One increment for each counter document that the uses touch."""
    amounts: dict[Counter, dict[str, int]] = {}
    for use in uses:
        fields = amounts.setdefault(metering.counter(use), {})
        quarter = metering.quarter(use.time)
        total, count = _SUM_FIELDS[quarter], _COUNT_FIELDS[quarter]
        fields[total] = fields.get(total, 0) + use.quantity_micro
        fields[count] = fields.get(count, 0) + 1
    return [
        Add(
            scope.key("usage", f"{counter.meter}.{counter.day}.{shard}"),
            added,
            {"meter": counter.meter, "day": counter.day, "shard": shard},
        )
        for counter, added in amounts.items()
    ]


async def usage_by_day(
    store: Store, tenant_id: str, since: date, until: date, meter: str | None = None
) -> dict[Counter, Sum]:
    """Sums of the counters from day `since` to before day `until`, all shards together."""
    sums: dict[Counter, Sum] = {}
    async for body in _counters(store.tenant(tenant_id), since, until, meter):
        counter = Counter(body["meter"], body["day"])
        before = sums.get(counter, Sum(0, 0))
        sums[counter] = Sum(
            before.quantity_micro + sum(body.get(name, 0) for name in _SUM_FIELDS),
            before.events + sum(body.get(name, 0) for name in _COUNT_FIELDS),
        )
    return sums


async def usage_by_period(store: Store, tenant_id: str, first: Period, last: Period) -> Usage:
    """Sums of the counters of each month from `first` to `last`, both included."""
    until = periods.first_day(periods.following(last))
    totals: dict[Period, dict[str, int]] = defaultdict(dict)
    for counter, found in (await usage_by_day(store, tenant_id, periods.first_day(first), until)).items():
        month = totals[periods.of_day(counter.day)]
        month[counter.meter] = month.get(counter.meter, 0) + found.quantity_micro
    return totals


async def subscription(
    store: Store, tenant_id: str, currency: str
) -> tuple[Tenant, FoundSubscription] | None:
    """The tenant with its subscription, read together; None for an unknown tenant."""
    key = subscription_key(store, tenant_id)
    tenant_doc, doc = await store.read(tenant.key(store, tenant_id), key)
    if tenant_doc is None:
        return None
    owner = from_body(tenant_doc.body, Tenant)
    if doc is not None:
        return owner, FoundSubscription(key, subscription_of(doc), doc.version)
    begins = Subscription(owner.tier, currency, owner.contract_start, owner.created_at)
    return owner, FoundSubscription(key, begins, None)


def subscription_key(store: Store, tenant_id: str) -> Key:
    return store.tenant(tenant_id).key("subscriptions", "current")


def subscription_of(doc: Doc) -> Subscription:
    return from_body(doc.body, Subscription)


def create_invoice(store: Store, invoice: Invoice) -> Create:
    return Create(store.tenant(invoice.party.id).key("invoices", invoice.id), to_body(invoice))


def invoice_of(doc: Doc) -> Invoice:
    return from_body(doc.body, Invoice)


def create_payment(store: Store, tenant_id: str, payment: Payment) -> Create:
    return Create(payment_key(store, tenant_id, payment.invoice_id), to_body(payment))


def payment_key(store: Store, tenant_id: str, invoice_id: str) -> Key:
    return store.tenant(tenant_id).key("payments", invoice_id)


def payment_of(doc: Doc) -> Payment:
    return from_body(doc.body, Payment)


def customer_key(store: Store, tenant_id: str, *, is_live: bool) -> Key:
    """Live and test mode know different customers."""
    return store.tenant(tenant_id).key("customers", "stripe_live" if is_live else "stripe_test")


def customer_of(doc: Doc) -> Customer:
    return from_body(doc.body, Customer)


def owner_key(store: Store, stripe_customer_id: str) -> Key:
    return store.platform().key("stripe_customers", stripe_customer_id)


def owner_of(doc: Doc) -> Owner:
    return from_body(doc.body, Owner)


def stripe_event_key(store: Store, tenant_id: str, event_id: str) -> Key:
    return store.tenant(tenant_id).key("stripe_events", event_id)


async def tenant_pages(store: Store) -> AsyncIterator[list[Tenant]]:
    """Every tenant, a page at a time."""
    cursor: str | None = None
    while True:
        page = await store.platform().query(TENANTS, limit=TENANTS_PAGE, cursor=cursor)
        yield [from_body(doc.body, Tenant) for doc in page.docs]
        cursor = page.cursor
        if cursor is None:
            return


async def _counters(scope: Scope, since: date, until: date, meter: str | None) -> AsyncIterator[Body]:
    query = COUNTERS_OF_METER if meter else COUNTERS_BY_DAY
    equal = {"meter": meter} if meter else None
    cursor: str | None = None
    while True:
        page = await scope.query(
            query,
            equal=equal,
            since=since.isoformat(),
            until=until.isoformat(),
            limit=PAGE,
            cursor=cursor,
        )
        for doc in page.docs:
            yield doc.body
        cursor = page.cursor
        if cursor is None:
            return
