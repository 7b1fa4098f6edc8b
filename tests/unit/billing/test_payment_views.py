"""How far an invoice is paid, as its customer sees it."""

from typing import Any

import msgspec
import pytest

from functions.billing import stripe_answers as answers
from shared.audit import Actor
from shared.events import full_type
from shared.store import Stale
from tests.unit.billing.collecting import Endpoint, closed
from tests.unit.billing.requests import get
from tests.unit.billing.world import World

pytestmark = pytest.mark.anyio

URL = "https://invoice.stripe.example/in_1"


async def seen(world: World, invoice_id: str) -> dict[str, Any]:
    """The JSON of one invoice, whose status the list shows alike."""
    one = msgspec.json.decode(
        (await get(world, "/v1/invoices/{invoice_id}", {"invoice_id": invoice_id})).body
    )
    listed = msgspec.json.decode((await get(world, "/v1/invoices")).body)["items"]
    assert [item["status"] for item in listed if item["id"] == invoice_id] == [one["status"]]
    return {name: one[name] for name in ("status", "paid_at", "hosted_invoice_url")}


async def page(world: World, invoice_id: str) -> str:
    params = {"invoice_id": invoice_id}
    return (await get(world, "/v1/invoices/{invoice_id}", params, accept="text/html")).body.decode()


async def test_before_anything_is_collected_it_is_finalized(world: World) -> None:
    invoice_id = await closed(world)
    assert await seen(world, invoice_id) == {
        "status": "finalized",
        "paid_at": None,
        "hosted_invoice_url": None,
    }
    text = await page(world, invoice_id)
    assert "<dd>finalized</dd>" in text
    assert "href" not in text


async def test_an_open_invoice_shows_where_it_can_be_paid(endpoint: Endpoint) -> None:
    world, invoice_id = endpoint.world, endpoint.invoice_id
    assert await seen(world, invoice_id) == {"status": "open", "paid_at": None, "hosted_invoice_url": URL}
    text = await page(world, invoice_id)
    assert "<dd>open</dd>" in text
    assert f'<a href="{URL}">Pay this invoice</a>' in text


async def test_a_past_due_invoice_can_still_be_paid(endpoint: Endpoint) -> None:
    await endpoint.tell(endpoint.event("invoice.payment_failed"))
    await endpoint.work()
    assert (await seen(endpoint.world, endpoint.invoice_id))["status"] == "past_due"
    text = await page(endpoint.world, endpoint.invoice_id)
    assert "<dd>past due</dd>" in text
    assert "Pay this invoice" in text


@pytest.mark.parametrize(("status", "shown"), [("paid", "paid on 2026-04-02"), ("void", "voided")])
async def test_a_settled_invoice_says_so_and_asks_for_nothing(
    endpoint: Endpoint, status: str, shown: str
) -> None:
    if status == "paid":
        endpoint.stripe.settle("in_1")
    else:
        endpoint.stripe.change("in_1", status=status)
    await endpoint.tell()
    await endpoint.work()
    view = await seen(endpoint.world, endpoint.invoice_id)
    assert view["paid_at"] == ("2026-04-02T01:02:03Z" if status == "paid" else None)
    text = await page(endpoint.world, endpoint.invoice_id)
    assert f"<dd>{shown}</dd>" in text
    assert "Pay this invoice" not in text


async def test_an_address_of_stripes_becomes_no_markup(endpoint: Endpoint) -> None:
    found = await endpoint.world.payments.find(endpoint.world.tenant_id, endpoint.invoice_id)
    assert found is not None
    evil = 'https://x.example/"><script>alert(1)</script>'
    (doc,) = await endpoint.world.store.read(found.key)
    assert doc is not None
    await endpoint.world.rewrite(doc, {**doc.body, "hosted_invoice_url": evil})
    text = await page(endpoint.world, endpoint.invoice_id)
    assert "<script" not in text
    assert "&quot;&gt;&lt;script&gt;" in text


async def test_the_invoice_itself_never_changes(endpoint: Endpoint) -> None:
    """Payment is a document of its own."""
    key = endpoint.world.store.tenant(endpoint.world.tenant_id).key("invoices", endpoint.invoice_id)
    (before,) = await endpoint.world.store.read(key)
    endpoint.stripe.settle("in_1")
    await endpoint.tell()
    await endpoint.work()
    assert await endpoint.world.store.read(key) == [before]


async def test_two_who_save_a_payment_at_once_do_not_overwrite_each_other(endpoint: Endpoint) -> None:
    found = await endpoint.world.payments.find(endpoint.world.tenant_id, endpoint.invoice_id)
    assert found is not None
    paid = endpoint.stripe.settle("in_1")
    await endpoint.world.deliver(
        "stripe.event.received",
        {
            "event_id": "evt_1",
            "type": "invoice.paid",
            "stripe_invoice_id": "in_1",
        },
    )
    with pytest.raises(Stale):
        await endpoint.world.payments.observe(found, paid, Actor("system", "test"))
    told = [event for event in await endpoint.world.sent() if event["type"] == full_type("invoice.paid")]
    assert len(told) == 2


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x.example", "", None])
def test_only_an_address_of_the_web_is_kept(url: str | None) -> None:
    found = answers.Invoice(
        id="in_1",
        customer="cus_1",
        status="open",
        currency="usd",
        total=4,
        amount_due=3,
        amount_paid=2,
        pre_payment_credit_notes_amount=1,
        status_transitions=answers.Transitions(),
        hosted_invoice_url=url,
    )
    seen = answers.seen(found)
    assert seen.hosted_invoice_url is None
    assert (seen.total, seen.amount_due, seen.amount_paid, seen.credited) == (4, 3, 2, 1)
    found = msgspec.structs.replace(found, hosted_invoice_url=URL)
    assert answers.seen(found).hosted_invoice_url == URL
