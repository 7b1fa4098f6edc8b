"""Stripe's webhooks: an event is verified and stored once; then the invoice itself is read from Stripe."""

import asyncio
import logging
import re
from typing import Any

import msgspec

from functions.billing import records
from functions.billing.collection import BUDGET_SECONDS
from functions.billing.customers import Customers
from functions.billing.domain import webhook_signature
from functions.billing.domain.payments import Mismatch
from functions.billing.domain.webhook_signature import BadSignature
from functions.billing.payments import Payments
from functions.billing.stripe_api import API_VERSION
from functions.billing.stripe_port import Refused, Stripe
from functions.billing.stripe_secrets import StripeSecrets
from shared import strict_json
from shared.audit import Actor
from shared.errors import BadRequest, NotFound, Unavailable
from shared.event_door import Rejected
from shared.ids import Clock
from shared.outbox import Outbox
from shared.payloads import StripeEventReceived
from shared.store import AlreadyExists, Create, Store, until_not_stale
from shared.store.bodies import stamp

MAX_BODY_BYTES = 1_048_576

FAILED = "invoice.payment_failed"
FOLLOWED = frozenset(
    {
        FAILED,
        "invoice.finalized",
        "invoice.marked_uncollectible",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice.voided",
    }
)
"""The types of events that can change a payment. Others are ignored."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")

_log = logging.getLogger(__name__)


class _Object(msgspec.Struct, frozen=True):
    id: Any = None
    customer: Any = None


class _Data(msgspec.Struct, frozen=True):
    object: _Object = _Object()


class _Event(msgspec.Struct, frozen=True):
    """The fields of a Stripe event that we use; they are the same in every version of its API."""

    id: str
    type: str
    livemode: bool
    data: _Data = _Data()
    account: str | None = None
    api_version: str | None = None


class Webhooks:
    """`receive` stores an event and publishes it; `follow` handles what was published."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        kept: Payments,
        customers: Customers,
        secrets: StripeSecrets | None,
        stripe: Stripe | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._payments = kept
        self._customers = customers
        self._secrets = secrets
        self._stripe = stripe
        self._clock = clock

    async def receive(self, body: bytes, signature: str) -> None:
        """Stores an event about one of our customers once, and publishes it. Ignores other customers, and
        events of other types. Raises `BadRequest`, `NotFound` if Stripe is not configured, `Unavailable`.
        """
        if self._secrets is None:
            raise NotFound("not_found", "There is nothing here.")
        try:
            claim = webhook_signature.read(signature, self._clock())
            webhook_signature.verify(body, claim, await self._secrets.webhook_secrets())
        except BadSignature as bad:
            _log.warning("a webhook was refused: %s", bad.code)
            raise BadRequest(bad.code, bad.detail) from None
        event = _parsed(body)
        _check_account(event, is_live=await self._secrets.is_live())
        if event.type not in FOLLOWED:
            _log.info("a webhook passes: its type changes no payment")
            return
        stripe_invoice_id, customer_id = event.data.object.id, event.data.object.customer
        if not (is_name(event.id) and is_name(stripe_invoice_id)):
            raise BadRequest("malformed_event", "The event or its invoice has no name.")
        tenant_id = await self._customers.owner_of(customer_id) if is_name(customer_id) else None
        if tenant_id is None:
            _log.info("a webhook passes: %s of no customer of ours", event.type)
            return
        received = StripeEventReceived(event.id, event.type, stripe_invoice_id)
        await self._write_down(tenant_id, received)

    async def follow(self, tenant_id: str, received: StripeEventReceived, actor: Actor) -> None:
        """Reads the invoice from Stripe and stores its state. Ignores an invoice that is not ours, and one
        whose id is not stored yet: its collection will read it.

        Raises `Rejected` if Stripe's invoice does not match ours, and `Unavailable`.
        """
        if self._stripe is None:
            raise Unavailable("stripe_not_configured", "Stripe's settings are gone. Send it again.")
        stripe = self._stripe
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                await until_not_stale(lambda: self._attempt(stripe, tenant_id, received, actor))
        except TimeoutError:
            raise Unavailable("stripe_slow", "Stripe did not answer in time. Send it again.") from None
        except (Refused, Mismatch) as never:
            _log.error("what Stripe said of %s is set aside: %s", received.stripe_invoice_id, never)
            raise Rejected(never.reason, never.detail) from None

    async def _attempt(
        self, stripe: Stripe, tenant_id: str, received: StripeEventReceived, actor: Actor
    ) -> None:
        found = await self._payments.of_stripe_invoice(tenant_id, received.stripe_invoice_id)
        if found is None:
            _log.info("an event of Stripe passes: its invoice is not ours, or not yet")
            return
        seen = await stripe.invoice(received.stripe_invoice_id)
        has_failed = received.type == FAILED
        await self._payments.observe(found, seen, actor, has_failed=has_failed)

    async def _write_down(self, tenant_id: str, received: StripeEventReceived) -> None:
        body = {"type": received.type, "stripe_invoice_id": received.stripe_invoice_id}
        key = records.stripe_event_key(self._store, tenant_id, received.event_id)
        try:
            await self._store.commit(
                Create(key, {**body, "received_at": stamp(self._clock())}),
                *self._outbox.entries("stripe.event.received", tenant_id, received),
            )
        except AlreadyExists:
            _log.info("a webhook came again")


def _parsed(body: bytes) -> _Event:
    try:
        return strict_json.decode(body, _Event)
    except strict_json.Malformed as malformed:
        raise BadRequest("malformed_json", malformed.detail) from None
    except msgspec.ValidationError:
        raise BadRequest("malformed_event", "The body is no event of Stripe's.") from None


def _check_account(event: _Event, *, is_live: bool) -> None:
    """Another API version is only logged, since the invoice itself is read with ours. Raises `BadRequest`."""
    if event.livemode != is_live:
        _log.error("a webhook was refused: it is of the other mode than the key")
        raise BadRequest("wrong_mode", "The event is not of the mode (live, test) that is served here.")
    if event.account is not None:
        _log.error("a webhook was refused: it is about another account")
        raise BadRequest("wrong_account", "The event is about another account.")
    if event.api_version is not None and event.api_version != API_VERSION:
        _log.warning("the webhook endpoint has another API version than %s", API_VERSION)


def is_name(value: Any) -> bool:
    """Whether the value can be an id of Stripe's, and so is safe as a document id."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
