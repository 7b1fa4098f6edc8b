"""Whether a tenant is active, and the caller's token not older than what ended the tenant's tokens."""

import math

from functions.auth import records
from functions.auth.records import Found
from shared import tenant
from shared.errors import Forbidden
from shared.identity import Principal, invalid_token
from shared.store import Doc, Store
from shared.tenant import Tenant


def require_active(owner: Tenant) -> None:
    """Raises `Forbidden` `tenant_suspended` or `tenant_not_active`."""
    if owner.status == "suspended":
        raise Forbidden("tenant_suspended", "This tenant is suspended. Ask its owner or the operator.")
    if owner.status != "active":
        raise Forbidden(
            "tenant_not_active",
            "This tenant is not active yet, or no longer. If it is new, try again in a minute.",
        )


def of_caller(tenant_doc: Doc | None, caller: Principal) -> Found[Tenant]:
    """The caller's tenant, from the document that was just read: the verifier may know it as it was 25 s ago.

    Add its `check()` to every commit whose result outlives the caller's token. Raises `Unauthenticated`
    `invalid_token`, as the verifier does, and what `require_active` raises.
    """
    found = records.found(tenant_doc, Tenant)
    if found is None:
        raise invalid_token()
    require_active(found.value)
    valid_after = found.value.tokens_valid_after
    if valid_after is not None and caller.issued_at.timestamp() <= math.floor(valid_after.timestamp()):
        raise invalid_token()
    return found


async def read(store: Store, caller: Principal) -> Found[Tenant]:
    """The same, for a use-case that reads nothing else at the same time."""
    return of_caller((await store.read(tenant.key(store, caller.tenant_id)))[0], caller)
