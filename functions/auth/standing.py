"""Whether a tenant's people may come in now."""

from shared.errors import Forbidden
from shared.tenant import Tenant


def require_active(tenant: Tenant) -> None:
    """Raises `Forbidden` `tenant_suspended` or `tenant_not_active`."""
    if tenant.status == "suspended":
        raise Forbidden("tenant_suspended", "This tenant is suspended. Ask its owner or the operator.")
    if tenant.status != "active":
        raise Forbidden("tenant_not_active", "This tenant is not ready yet.")
