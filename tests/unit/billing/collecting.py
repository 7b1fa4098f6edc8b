"""An invoice on its way to Stripe, and Stripe's endpoint here."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from stripe import WebhookSignature

from functions.billing import routes
from functions.billing.invoices import Invoices
from functions.billing.stripe_api import API_VERSION
from shared.events import full_type
from shared.store import Store
from tests.door import Answer, Door
from tests.stripe_stand_in import WEBHOOK_SECRET
from tests.unit.billing.scripted_stripe import ScriptedStripe
from tests.unit.billing.world import ACME, Now, World, used

PATH = "/v1/webhooks/stripe"
APRIL_2 = datetime(2026, 4, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


async def closed(world: World, period: str = "2026-03") -> str:
    """Closes a month with some usage; the id of its invoice."""
    await world.use(used("a", "100.5"), used("b", 7, meter="workflow_runs"))
    world.now.at = APRIL_2
    await world.close(period)
    return (await world.invoices())[-1].id


async def message(world: World, invoice_id: str) -> dict[str, Any]:
    """What the event that starts its collection carries."""
    sent = [event["data"] for event in await world.sent() if event["type"] == full_type("invoice.finalized")]
    return next(data for data in sent if data["invoice_id"] == invoice_id)


async def collect(world: World, invoice_id: str) -> None:
    await world.deliver("invoice.finalized", await message(world, invoice_id))


def at_stripe(store: Store, stripe: ScriptedStripe, tenant_id: str = ACME, now: Now | None = None) -> World:
    return World(store, tenant_id, now, stripe=stripe)


class Endpoint:
    """Acme with an open invoice at Stripe, and billing's door for Stripe."""

    def __init__(self, world: World, stripe: ScriptedStripe, invoice_id: str) -> None:
        self.world = world
        self.stripe = stripe
        self.invoice_id = invoice_id
        self.customer_id = next(iter(stripe.customers))

    def event(
        self, event_type: str = "invoice.paid", event_id: str = "evt_1", **changes: Any
    ) -> dict[str, Any]:
        return {
            "id": event_id,
            "object": "event",
            "api_version": API_VERSION,
            "created": 1,
            "type": event_type,
            "livemode": False,
            "data": {"object": {"id": "in_1", "object": "invoice", "customer": self.customer_id}},
            **changes,
        }

    def signed(self, body: bytes, secret: str = WEBHOOK_SECRET, *, age: float = 0) -> str:
        at = int(self.world.now.at.timestamp() - age)
        return str(WebhookSignature.generate_signature_header(body.decode(), secret, at))

    async def post(self, body: bytes, signature: str | None, world: World | None = None) -> Answer:
        world = world or self.world
        table = routes.table(world.reports, Invoices(world.store), world.webhooks)
        headers = [("content-type", "application/json; charset=utf-8")]
        if signature is not None:
            headers.append(("Stripe-Signature", signature))
        return await Door(*table).send("POST", PATH, headers, body)

    async def tell(self, event: dict[str, Any] | None = None) -> Answer:
        body = json.dumps(event or self.event()).encode()
        return await self.post(body, self.signed(body))

    async def received(self) -> list[dict[str, Any]]:
        """What went to the topic."""
        sent = await self.world.sent()
        return [event["data"] for event in sent if event["type"] == full_type("stripe.event.received")]

    async def work(self) -> None:
        """The topic delivers all of it, twice."""
        for data in (await self.received()) * 2:
            await self.world.deliver("stripe.event.received", data)

    async def status(self) -> str:
        return str((await self.world.payment(self.invoice_id)).status)

    async def is_refused(self, answer: Answer, code: str) -> None:
        assert (answer.status, answer.code) == (400, code)
        assert await self.received() == []
