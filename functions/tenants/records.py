"""The documents of this function: `tenants/{t}`, `slugs/{slug}`, `tenants/{t}/operations/{id}`."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from functions.tenants.domain.operations import Operation
from shared import tenant as tenants
from shared.errors import NotFound
from shared.http.pagination import Listing, checked
from shared.ids import is_id
from shared.store import Create, Doc, Key, Query, Replace, Store, Version
from shared.store.bodies import from_body, stamp, to_body
from shared.tenant import Tenant

T = TypeVar("T", bound=msgspec.Struct)

OLDEST_FIRST = Query("tenants_by_age", "tenants", order="created_at")
IN_STATUS = Query("tenants_in_status", "tenants", equal=("status",), order="created_at")
OPERATIONS = Query("operations_in_status", "operations", equal=("status",), order="requested_at")
QUERIES = (OLDEST_FIRST, IN_STATUS, OPERATIONS)


class Found(msgspec.Struct, Generic[T], frozen=True):
    """A document's value and the version it was read at."""

    key: Key
    value: T
    version: Version

    def replace(self, value: T) -> Replace:
        """The write that fails with `Stale` if the document has changed since it was read."""
        return Replace(self.key, to_body(value), self.version)


def new_tenant(store: Store, tenant: Tenant) -> Create:
    return Create(tenants.key(store, tenant.id), to_body(tenant))


def new_slug(store: Store, slug: str, tenant_id: str) -> Create:
    """Reserves the slug: the commit fails if its document exists."""
    return Create(store.platform().key("slugs", slug), {"tenant_id": tenant_id})


def new_operation(store: Store, tenant_id: str, operation: Operation) -> Create:
    return Create(store.tenant(tenant_id).key("operations", operation.id), to_body(operation))


async def tenant(store: Store, tenant_id: str) -> Found[Tenant]:
    """Raises `tenant_not_found()`."""
    if is_id(tenant_id):
        (doc,) = await store.read(tenants.key(store, tenant_id))
        if doc is not None:
            return _found(doc, Tenant)
    raise tenant_not_found()


def tenant_not_found() -> NotFound:
    """The error for unknown and for foreign ids; it contains no id."""
    return NotFound("tenant_not_found", "There is no such tenant. Check its id.")


async def tenant_and_operation(
    store: Store, tenant_id: str, operation_id: str
) -> tuple[Found[Tenant], Found[Operation]] | None:
    """Both from one consistent read; None for the operation if the tenant does not have it."""
    if not (is_id(tenant_id) and is_id(operation_id)):
        return None
    tenant_doc, operation_doc = await store.read(
        tenants.key(store, tenant_id), store.tenant(tenant_id).key("operations", operation_id)
    )
    if tenant_doc is None or operation_doc is None:
        return None
    return _found(tenant_doc, Tenant), _found(operation_doc, Operation)


async def listed(store: Store, limit: int, cursor: str | None) -> Listing[Tenant]:
    """Oldest first. Raises BadRequest for a cursor that is not of this list."""
    with checked(cursor):
        page = await store.platform().query(OLDEST_FIRST, limit=limit, cursor=cursor)
    return Listing([from_body(doc.body, Tenant) for doc in page.docs], page.cursor)


async def overdue_operations(store: Store, before: datetime) -> AsyncIterator[tuple[str, str]]:
    """(tenant id, operation id) of each operation that was requested before `before` and is pending.

    Only tenants that are being provisioned have a pending operation, so only these are read.
    """
    cursor: str | None = None
    while True:
        page = await store.platform().query(
            IN_STATUS, equal={"status": "provisioning"}, until=stamp(before), cursor=cursor
        )
        for doc in page.docs:
            pending = await store.tenant(doc.key.id).query(
                OPERATIONS, equal={"status": "pending"}, until=stamp(before)
            )
            for operation in pending.docs:
                yield doc.key.id, operation.key.id
        if page.cursor is None:
            return
        cursor = page.cursor


def _found(doc: Doc, kind: type[T]) -> Found[T]:
    return Found(doc.key, from_body(doc.body, kind), doc.version)
