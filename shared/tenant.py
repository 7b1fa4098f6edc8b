"""The tenant document `tenants/{t}`: owned by the tenants function, read by auth and billing."""

from datetime import date, datetime
from typing import Literal

import msgspec

from shared.store import Key, Store
from shared.tiers import Tier

Status = Literal["provisioning", "active", "suspended", "failed"]
Isolation = Literal["shared", "dedicated", "hybrid"]


class Tenant(msgspec.Struct, frozen=True):
    """A customer company. `tokens_valid_after` ends every token and session that is older."""

    id: str
    slug: str
    name: str
    owner_email: str
    tier: Tier
    isolation: Isolation
    status: Status
    contract_start: date
    created_at: datetime
    updated_at: datetime
    tokens_valid_after: datetime | None = None
    status_reason: str = ""


def key(store: Store, tenant_id: str) -> Key:
    return store.platform().key("tenants", tenant_id)
