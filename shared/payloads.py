"""What events carry in `data`, where producer and consumer are different functions or outside."""

from datetime import date, datetime

import msgspec

from shared.tenant import Isolation, Status
from shared.tiers import Limits, Tier


class TenantChanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tenant.created`, `.activated`, `.suspended`, `.resumed`; the tenant is the event's subject."""

    slug: str
    name: str
    owner_email: str
    tier: Tier
    isolation: Isolation
    status: Status
    contract_start: date


class StepRequested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tenant.step.requested`: what the cluster is asked to do. `step`: `provision`."""

    operation_id: str
    step: str
    slug: str
    tier: Tier
    isolation: Isolation
    limits: Limits


class StatusReported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tenant.status.reported`: the cluster's answer to one step. `status`: `succeeded` or `failed`."""

    operation_id: str
    step: str
    status: str
    message: str = ""


class UsageEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One use of one meter. (tenant, `source`, `id`) names it for ever.

    `time` is RFC 3339 with a zone; digits beyond microseconds are cut, never rounded up into the next month.
    `quantity` is a JSON integer or a decimal string with at most six places, above 0. `source` defaults to
    the envelope's.
    """

    id: str
    time: str
    meter: str
    quantity: int | str
    source: str = ""


class UsageBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`usage.recorded`: 1 to 500 events of the tenant that is the event's subject."""

    events: list[msgspec.Raw]
    """Each one a `UsageEvent`; decoded one by one, so that a bad one is quarantined alone."""


class CloseRequested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`billing.close.requested`: make the invoice of one calendar month, `YYYY-MM`."""

    period: str


class InvoiceFinalized(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`invoice.finalized`. Amounts in minor units of `currency` (ISO 4217)."""

    invoice_id: str
    period: str
    currency: str
    total_minor: int
    finalized_at: datetime


class InvoicePaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`invoice.paid`, final. Amounts in minor units of `currency` (ISO 4217)."""

    invoice_id: str
    period: str
    currency: str
    total_minor: int
    paid_at: datetime


class InvoicePastDue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`invoice.past_due`: a payment failed, and the amount is still owed."""

    invoice_id: str
    period: str
    currency: str
    total_minor: int


class InvoiceVoided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`invoice.voided`, final: nothing is owed any more."""

    invoice_id: str
    period: str
    currency: str
    total_minor: int


class StripeEventReceived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`stripe.event.received`: something happened to an invoice at Stripe; what, is asked there."""

    event_id: str
    type: str
    stripe_invoice_id: str
