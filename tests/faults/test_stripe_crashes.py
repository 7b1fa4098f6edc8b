"""The adapter on the stand-in for Stripe: whichever answer is lost, there is one invoice and one charge."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import stripe

from functions.billing import stripe_api
from functions.billing.stripe_api import StripeApi
from local.stripe import server
from shared.errors import Unavailable
from shared.store.sqlite import SqliteStore
from tests.stripe_stand_in import API_KEY, StandIn, adapter
from tests.unit.billing.collecting import closed, message
from tests.unit.billing.world import NOON, QUERIES, Now, World

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Use 'content=<...>'"),  # the package calls httpx in an old way
]

DAY_AND_HOUR_SECONDS = 25 * 3600
TRIES = 1 + stripe_api.NETWORK_RETRIES


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server.running(server.Settings(API_KEY)) as found:
        yield found


@pytest.fixture
async def stand_in(url: str) -> AsyncIterator[StandIn]:
    found = StandIn(url)
    await found.reset()
    yield found
    await found.close()


@pytest.fixture
async def api(url: str) -> AsyncIterator[StripeApi]:
    found = adapter(url)
    yield found
    await found.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    found = SqliteStore(tmp_path / "store.db", QUERIES)
    yield found
    await found.close()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    monkeypatch.setattr(stripe_api, "_RATE_LIMIT_PAUSES_SECONDS", (0.001,) * 3)


@pytest.mark.parametrize("has_card", [True, False])
@pytest.mark.parametrize(("when", "are_keys_expired"), [("before", False), ("after", False), ("after", True)])
async def test_a_request_without_an_answer_makes_nothing_twice(
    stand_in: StandIn,
    api: StripeApi,
    store: SqliteStore,
    when: str,
    are_keys_expired: bool,
    has_card: bool,
) -> None:
    """B17, B18, B20: each request in turn, as often as it is tried; with the idempotency keys still kept, and
    pruned since."""
    lost = 0
    for number in range(100):
        await stand_in.reset()
        world = World(store, f"tnt_{number}", Now(NOON), stripe=api)
        await world.add_tenant(id=world.tenant_id)
        invoice_id = await closed(world)
        data = await message(world, invoice_id)
        if has_card:
            fields = {"email": "owner@acme.example", "metadata[tenant_id]": world.tenant_id}
            await stand_in.give_card((await stand_in.post("/v1/customers", **fields))["id"])
        await stand_in.fault(kind="reset", when=when, skip=number, times=TRIES)
        try:
            await world.deliver("invoice.finalized", data)
        except Unavailable:
            lost += 1
        is_hit = len(await stand_in.faults()) == 0
        await stand_in.no_faults()
        if are_keys_expired:
            await stand_in.advance(DAY_AND_HOUR_SECONDS)
        for _ in range(2):
            await world.deliver("invoice.finalized", data)
        await is_collected_once(stand_in, world, invoice_id, has_card=has_card)
        if not is_hit:
            break
    assert lost == number >= 12


async def is_collected_once(stand_in: StandIn, world: World, invoice_id: str, *, has_card: bool) -> None:
    payment, (invoice,) = await world.payment(invoice_id), await world.invoices()
    (customer,), (found,) = await stand_in.every("customers"), await stand_in.every("invoices")
    assert (found["id"], customer["id"]) == (payment.stripe_invoice_id, payment.stripe_customer_id)
    items = await stand_in.every("invoiceitems")
    assert sorted(item["amount"] for item in items) == sorted(line.amount_minor for line in invoice.lines)
    assert {item["id"] for item in items} == set(payment.stripe_item_ids)
    charges = await stand_in.every("charges")
    assert [charge["amount"] for charge in charges] == ([invoice.total_minor] if has_card else [])
    assert payment.status == found["status"] == ("paid" if has_card else "open")
    assert found["total"] == invoice.total_minor
    assert await world.announced("invoice.paid") == (["billing-events", "tenant-events"] if has_card else [])
    assert [kept for kept in await world.quarantined() if kept.subject == world.tenant_id] == []
