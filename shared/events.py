"""Our events: CloudEvents 1.0 in JSON, their types, and the topics each type goes to."""

from datetime import datetime
from typing import Any

import msgspec

from shared.bus import AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS, Message

TYPE_PREFIX = "ai.energent."

DESTINATIONS: dict[str, tuple[str, ...]] = {
    "tenant.created": (AUTH_EVENTS, BILLING_EVENTS),
    "tenant.activated": (AUTH_EVENTS, BILLING_EVENTS),
    "tenant.suspended": (AUTH_EVENTS, BILLING_EVENTS),
    "tenant.resumed": (AUTH_EVENTS, BILLING_EVENTS),
    "tenant.step.requested": (TENANT_EVENTS,),
    "tenant.status.reported": (TENANT_EVENTS,),
    "user.invited": (AUTH_EVENTS,),
    "user.created": (AUTH_EVENTS,),
    "user.invitation_revoked": (AUTH_EVENTS,),
    "user.updated": (AUTH_EVENTS,),
    "user.role_changed": (AUTH_EVENTS,),
    "user.disabled": (AUTH_EVENTS,),
    "user.enabled": (AUTH_EVENTS,),
    "user.deleted": (AUTH_EVENTS,),
    "user.password_changed": (AUTH_EVENTS,),
    "user.email_changed": (AUTH_EVENTS,),
    "role.created": (AUTH_EVENTS,),
    "role.updated": (AUTH_EVENTS,),
    "role.deleted": (AUTH_EVENTS,),
    "session.revoke.requested": (AUTH_EVENTS,),
    "session.revoked": (AUTH_EVENTS,),
    "security.refresh_token_reused": (AUTH_EVENTS,),
    "security.sign_in_failures": (AUTH_EVENTS,),
    "service_account.created": (AUTH_EVENTS,),
    "service_account.updated": (AUTH_EVENTS,),
    "service_account.deleted": (AUTH_EVENTS,),
    "client.created": (AUTH_EVENTS,),
    "client.updated": (AUTH_EVENTS,),
    "client.deleted": (AUTH_EVENTS,),
    "api_key.created": (AUTH_EVENTS,),
    "api_key.updated": (AUTH_EVENTS,),
    "api_key.revoked": (AUTH_EVENTS,),
    "security.key_rotated": (AUTH_EVENTS,),
    "user.factor_added": (AUTH_EVENTS,),
    "user.factor_removed": (AUTH_EVENTS,),
    "user.factor_renamed": (AUTH_EVENTS,),
    "user.factors_reset": (AUTH_EVENTS,),
    "session.stepped_up": (AUTH_EVENTS,),
    "user.recovery_codes_replaced": (AUTH_EVENTS,),
    "user.recovery_code_used": (AUTH_EVENTS,),
    "security.policy_changed": (AUTH_EVENTS,),
    "security.second_factor_refused": (AUTH_EVENTS,),
    "security.passkey_copied": (AUTH_EVENTS,),
    "mail.requested": (AUTH_EVENTS,),
    "usage.recorded": (BILLING_EVENTS,),
    "billing.tick": (BILLING_EVENTS,),
    "billing.close.requested": (BILLING_EVENTS,),
    "stripe.event.received": (BILLING_EVENTS,),
    "invoice.finalized": (BILLING_EVENTS, TENANT_EVENTS),
    "invoice.paid": (BILLING_EVENTS, TENANT_EVENTS),
    "invoice.past_due": (BILLING_EVENTS, TENANT_EVENTS),
    "invoice.voided": (BILLING_EVENTS, TENANT_EVENTS),
    "outbox.sweep": (AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS),
}
"""Short name (`ai.energent.` and `.v1` left out) to topics."""


class CloudEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """CloudEvents 1.0, JSON format §3. `subject` is the tenant id; `id` is made by the producer."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    traceparent: str | None = None


def full_type(name: str) -> str:
    """`tenant.created` → `ai.energent.tenant.created.v1`."""
    return f"{TYPE_PREFIX}{name}.v1"


def short_name(event_type: str) -> str | None:
    """The inverse of `full_type`; None for a type that is not one of ours (or another version)."""
    if event_type.startswith(TYPE_PREFIX) and event_type.endswith(".v1"):
        return event_type[len(TYPE_PREFIX) : -3]
    return None


def make(name: str, *, event_id: str, source: str, subject: str, time: datetime, data: Any) -> CloudEvent:
    """An event of ours; `data` is a struct or plain JSON values."""
    return CloudEvent(
        id=event_id,
        source=source,
        type=full_type(name),
        subject=subject,
        time=time,
        data=msgspec.Raw(msgspec.json.encode(data)),
    )


def to_message(event: CloudEvent) -> Message:
    """The event as a topic carries it: structured JSON, type and subject repeated as attributes."""
    return Message(
        data=msgspec.json.encode(event),
        attributes={"type": event.type, "subject": event.subject},
    )
