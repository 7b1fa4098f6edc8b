"""Audit records: who did what to which thing; part of the commit that does it."""

from datetime import datetime

import msgspec

from shared.ids import new_id
from shared.store import Create, Store
from shared.store.bodies import to_body


class Actor(msgspec.Struct, frozen=True):
    """Who acts. `kind`: `user`, `service_account`, `system` (an event or a schedule), `anonymous`."""

    kind: str
    id: str
    tenant_id: str = ""
    request_id: str = ""


class AuditRecord(msgspec.Struct, frozen=True):
    id: str
    at: datetime
    actor: Actor
    action: str
    target: str
    detail: dict[str, str]


def record(
    store: Store,
    tenant_id: str,
    *,
    actor: Actor,
    action: str,
    target: str,
    at: datetime,
    detail: dict[str, str] | None = None,
) -> Create:
    """The write that records `action` (`tenant.suspend`) on `target` (an id) in the tenant's audit log."""
    entry = AuditRecord(new_id("aud"), at, actor, action, target, detail or {})
    return Create(store.tenant(tenant_id).key("audit", entry.id), to_body(entry))
