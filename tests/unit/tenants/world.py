"""Tenants put together for tests: a real store, a bus that keeps what it gets, a clock that stands still."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from functions.tenants import events, records, routes
from functions.tenants.domain.lifecycle import Status
from functions.tenants.domain.operations import Operation
from functions.tenants.lifecycle import Lifecycle, TenantRequest
from functions.tenants.provisioning import Provisioning
from functions.tenants.quarantine import Shelf
from shared import outbox, quarantine, revocations, tenant
from shared.audit import Actor, AuditRecord
from shared.bus import Message
from shared.envelope import Delivery
from shared.errors import Unavailable
from shared.events import CloudEvent, make, short_name
from shared.http.idempotency import Idempotency
from shared.outbox import Outbox, PublishingStore
from shared.payloads import StepRequested
from shared.store import Doc, Query, Store
from shared.store.bodies import from_body, to_body
from shared.store.sqlite import SqliteStore
from shared.tenant import Tenant
from tests.tokens import Time

T = TypeVar("T")

OPERATOR = Actor("service_account", "sa_operator", "platform", "req_1")
ACME = TenantRequest(slug="acme", name="Acme Inc.", tier="standard", owner_email="owner@acme.example")

AUDIT = Query("audit_in_test", "audit", order="at")
ALL_OPERATIONS = Query("operations_in_test", "operations", order="requested_at")


class KeepingBus:
    """`refusals`: how many of the next publications fail."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []
        self.refusals = 0

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("bus_unavailable", "The bus did not answer.")
        self.messages += [(topic, message) for message in messages]

    async def close(self) -> None:
        pass


class World:
    def __init__(self, store: Store) -> None:
        self.clock = Time()
        self.bus = KeepingBus()
        self.plain_store = store
        self.store = PublishingStore(store, self.bus)
        self.outbox = Outbox(self.store, self.bus, self.clock, "tenants")
        self.lifecycle = Lifecycle(self.store, self.outbox, self.clock)
        self.provisioning = Provisioning(self.store, self.outbox, self.clock)
        self.handlers = events.table(self.provisioning, self.outbox)
        self.shelf = Shelf(self.store, self.outbox, self.clock)
        self.routes = routes.table(self.lifecycle, self.shelf, Idempotency(self.store, self.clock))

    async def tenant(self, tenant_id: str) -> Tenant:
        (doc,) = await self.store.read(tenant.key(self.store, tenant_id))
        assert doc is not None
        return from_body(doc.body, Tenant)

    async def tenant_in(self, status: Status, request: TenantRequest = ACME) -> Tenant:
        """A tenant that got there by the moves that lead there."""
        made = await self.lifecycle.create(request, OPERATOR)
        if status != "provisioning":
            await self.report(
                made.id, await self.operation(made.id), "failed" if status == "failed" else "succeeded"
            )
        if status == "suspended":
            await self.lifecycle.suspend(made.id, "abuse", OPERATOR)
        return await self.tenant(made.id)

    async def operation(self, tenant_id: str) -> Operation:
        (operation,) = await self._all(tenant_id, ALL_OPERATIONS, Operation)
        return operation

    async def audit(self, tenant_id: str) -> list[AuditRecord]:
        return await self._all(tenant_id, AUDIT, AuditRecord)

    async def report(self, tenant_id: str, operation: Operation, status: str, **changes: Any) -> None:
        data = {"operation_id": operation.id, "step": "provision", "status": status} | changes
        await self.deliver("tenant.status.reported", tenant_id, data)

    async def sweep(self) -> None:
        await self.deliver("outbox.sweep", "", None)

    async def deliver(self, name: str, tenant_id: str, data: Any, event_id: str = "evt_1") -> None:
        event = make(
            name, event_id=event_id, source="//cluster", subject=tenant_id, time=self.clock(), data=data
        )
        await self.handlers[name](event, Delivery("1", b"", {}))

    def published(self, topic: str | None = None) -> list[str]:
        """Short names in order; an event to two topics is there twice, unless one topic is asked for."""
        return [short_name(event.type) or "" for event in self.events(topic)]

    def events(self, topic: str | None = None) -> list[CloudEvent]:
        return [
            msgspec.json.decode(message.data, type=CloudEvent)
            for to, message in self.bus.messages
            if topic in (to, None)
        ]

    def steps(self) -> list[StepRequested]:
        return [msgspec.json.decode(event.data, type=StepRequested) for event in self.events("tenant-events")]

    async def put(self, value: Tenant) -> Doc:
        """A tenant document that stands there already."""
        await self.plain_store.commit(records.new_tenant(self.store, value))
        (doc,) = await self.store.read(tenant.key(self.store, value.id))
        assert doc is not None
        assert doc.body == to_body(value)
        return doc

    async def _all(self, tenant_id: str, query: Query, kind: type[T]) -> list[T]:
        page = await self.store.tenant(tenant_id).query(query)
        return [from_body(doc.body, kind) for doc in page.docs]


@asynccontextmanager
async def standing_world(folder: Path) -> AsyncIterator[World]:
    shared = (*outbox.QUERIES, *quarantine.QUERIES, *revocations.QUERIES)
    queries = (*records.QUERIES, *shared, AUDIT, ALL_OPERATIONS)
    store = SqliteStore(folder / "store.db", queries)
    try:
        yield World(store)
    finally:
        await store.close()
