"""The states of a tenant and the transitions between them."""

from datetime import datetime
from typing import Literal

import msgspec

from shared.errors import Conflict

Status = Literal["provisioning", "active", "suspended", "failed"]
Reason = Literal["non_payment", "abuse", "security", "customer_request", "other"]

PLATFORM = "platform"
"""The tenant of the platform's own operators. It cannot be suspended: nobody could resume it."""


class Standing(msgspec.Struct, frozen=True):
    """The part of a tenant that its lifecycle decides."""

    tenant_id: str
    status: Status
    reason: str = ""
    tokens_valid_after: datetime | None = None


def activate(standing: Standing) -> Standing:
    """The cluster has provisioned the tenant. Raises Conflict."""
    return _moved(standing, "provisioning", "active")


def fail(standing: Standing, reason: str) -> Standing:
    """The tenant could not be provisioned. Raises Conflict."""
    return _moved(standing, "provisioning", "failed", reason)


def suspend(standing: Standing, reason: Reason, at: datetime) -> Standing:
    """Ends every token older than `at`. If already suspended, the first reason and time remain.

    A tenant that is being provisioned cannot be suspended: nobody can sign in to it yet, and within minutes
    it is active or failed. Raises Conflict.
    """
    if standing.tenant_id == PLATFORM:
        raise Conflict("platform_tenant", "The platform's own tenant cannot be suspended.")
    if standing.status == "suspended":
        return standing
    suspended = _moved(standing, "active", "suspended", reason)
    return msgspec.structs.replace(suspended, tokens_valid_after=at)


def resume(standing: Standing) -> Standing:
    """Tokens from before the suspension stay invalid. Does nothing if already active. Raises Conflict."""
    if standing.status == "active":
        return standing
    return _moved(standing, "suspended", "active")


def _moved(standing: Standing, legal: Status, wanted: Status, reason: str = "") -> Standing:
    if standing.status != legal:
        raise Conflict("illegal_transition", f"A tenant that is {standing.status} cannot become {wanted}.")
    return msgspec.structs.replace(standing, status=wanted, reason=reason)
