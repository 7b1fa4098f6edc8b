"""What Stripe asks for is what our invoice says, or nobody is charged and nothing is called paid."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from functions.billing.stripe_api import StripeApi
from local.stripe import server
from shared.store.sqlite import SqliteStore
from tests.stripe_stand_in import API_KEY, StandIn, adapter
from tests.unit.billing.collecting import closed, collect
from tests.unit.billing.world import QUERIES, World

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Use 'content=<...>'"),  # the package calls httpx in an old way
]

TOTAL = 29_936


class Customer:
    """Acme as Stripe's customer with a good card, and what became of its invoice there and here."""

    def __init__(self, stand_in: StandIn, customer_id: str, world: World) -> None:
        self.stand_in = stand_in
        self.id = customer_id
        self.world = world

    async def owes(self, balance: int) -> None:
        """Below 0: has credit."""
        await self.stand_in.post(f"/v1/customers/{self.id}", balance=balance)

    async def charged(self) -> list[int]:
        return [charge["amount"] for charge in await self.stand_in.every("charges")]

    async def at_stripe(self) -> str:
        (found,) = await self.stand_in.every("invoices")
        return str(found["status"])

    async def here(self, invoice_id: str) -> tuple[str, str]:
        payment = await self.world.payment(invoice_id)
        return payment.status, payment.blocked


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server.running(server.Settings(API_KEY)) as found:
        yield found


@pytest.fixture
async def api(url: str) -> AsyncIterator[StripeApi]:
    found = adapter(url)
    yield found
    await found.close()


@pytest.fixture
async def acme(url: str, api: StripeApi, tmp_path: Path) -> AsyncIterator[Customer]:
    stand_in, store = StandIn(url), SqliteStore(tmp_path / "store.db", QUERIES)
    await stand_in.reset()
    world = World(store, stripe=api)
    await world.add_tenant()
    fields = {"email": "owner@acme.example", "metadata[tenant_id]": world.tenant_id}
    customer_id = (await stand_in.post("/v1/customers", **fields))["id"]
    await stand_in.give_card(customer_id)
    yield Customer(stand_in, customer_id, world)
    await store.close()
    await stand_in.close()


@pytest.mark.parametrize("balance", [5_000, -5_000, -TOTAL, -100_000])
async def test_a_balance_at_stripe_blocks_the_payment_until_it_is_cleared(
    acme: Customer, balance: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Stripe would charge total and balance together, or nothing, and call either paid."""
    await acme.owes(balance)
    invoice_id = await closed(acme.world)
    await collect(acme.world, invoice_id)
    assert await acme.here(invoice_id) == ("pending", "stripe_amount_due_mismatch")
    assert (await acme.at_stripe(), await acme.charged()) == ("draft", [])
    (kept,) = await acme.world.quarantined()
    assert (kept.reason, acme.id in kept.detail) == ("stripe_amount_due_mismatch", True)
    assert "balance" in kept.detail
    assert [record.levelname for record in caplog.records] == ["ERROR"]

    await acme.owes(0)
    await collect(acme.world, invoice_id)
    assert await acme.here(invoice_id) == ("paid", "")
    assert await acme.charged() == [TOTAL]
    assert await acme.world.announced("invoice.paid") == ["billing-events", "tenant-events"]


@pytest.mark.parametrize("balance", [5_000, -5_000, -TOTAL])
async def test_a_balance_that_comes_between_looking_and_finalizing_is_not_charged(
    acme: Customer, api: StripeApi, monkeypatch: pytest.MonkeyPatch, balance: int
) -> None:
    invoice_id = await closed(acme.world)
    finalize = api.finalize

    async def late(stripe_invoice_id: str, key: str) -> object:
        await acme.owes(balance)
        return await finalize(stripe_invoice_id, key)

    monkeypatch.setattr(api, "finalize", late)
    for _ in range(2):
        await collect(acme.world, invoice_id)
    reason = "stripe_amount_paid_mismatch" if balance == -TOTAL else "stripe_amount_due_mismatch"
    assert await acme.here(invoice_id) == ("pending", reason)
    assert await acme.charged() == []
    assert await acme.world.announced("invoice.paid") == []


async def test_what_is_too_little_to_charge_is_carried_over_and_not_called_paid(
    acme: Customer, api: StripeApi
) -> None:
    """Stripe calls it paid and adds it to what the customer owes."""
    cheap = msgspec.structs.replace(acme.world.catalogue, fees_minor={"standard": 20})
    acme.world = World(acme.world.store, catalogue=cheap, stripe=api)
    await acme.world.close("2026-02")
    invoice_id = (await acme.world.invoice()).id
    await collect(acme.world, invoice_id)
    assert (await acme.at_stripe(), await acme.charged()) == ("paid", [])
    assert await acme.here(invoice_id) == ("pending", "stripe_amount_paid_mismatch")
    assert await acme.world.reasons() == ["stripe_amount_paid_mismatch"]


async def test_an_invoice_that_an_operator_marks_as_paid_elsewhere_is_paid(acme: Customer) -> None:
    """Out of band: Stripe says that all of it was paid, and charges nothing."""
    (card,) = await acme.stand_in.every(f"customers/{acme.id}/payment_methods")
    await acme.stand_in.post(f"/v1/payment_methods/{card['id']}/detach")
    invoice_id = await closed(acme.world)
    await collect(acme.world, invoice_id)
    assert await acme.here(invoice_id) == ("open", "")
    name = (await acme.world.payment(invoice_id)).stripe_invoice_id
    await acme.stand_in.post(f"/v1/invoices/{name}/pay", paid_out_of_band="true")
    received = {"event_id": "evt_1", "type": "invoice.paid", "stripe_invoice_id": name}
    await acme.world.deliver("stripe.event.received", received)
    assert (await acme.here(invoice_id), await acme.charged()) == (("paid", ""), [])
