"""Where a tenant stands in its life, and the moves that are legal from there."""

from datetime import datetime
from typing import Literal

import msgspec

from shared.errors import Conflict

Status = Literal["provisioning", "active", "suspended", "failed"]
Reason = Literal["non_payment", "abuse", "security", "customer_request", "other"]

PLATFORM = "platform"
"""The tenant of the platform's own operators. Without it nobody could resume anybody."""


class Standing(msgspec.Struct, frozen=True):
    """The part of a tenant that its lifecycle decides."""

    tenant_id: str
    status: Status
    reason: str = ""
    tokens_valid_after: datetime | None = None


def activate(standing: Standing) -> Standing:
    """What was asked of the cluster is there. Raises Conflict."""
    return _moved(standing, "provisioning", "active")


def fail(standing: Standing, reason: str) -> Standing:
    """It could not be provisioned. Raises Conflict."""
    return _moved(standing, "provisioning", "failed", reason)


def suspend(standing: Standing, reason: Reason, at: datetime) -> Standing:
    """Ends every token older than `at`. Suspending twice is the same as once: the first reason and time stay.

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
    """Tokens from before the suspension stay dead. Resuming twice is the same as once. Raises Conflict."""
    if standing.status == "active":
        return standing
    return _moved(standing, "suspended", "active")


def _moved(standing: Standing, legal: Status, wanted: Status, reason: str = "") -> Standing:
    if standing.status != legal:
        raise Conflict("illegal_transition", f"A tenant that is {standing.status} cannot become {wanted}.")
    return msgspec.structs.replace(standing, status=wanted, reason=reason)
