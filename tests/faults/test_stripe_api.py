"""What each answer of Stripe's means to the adapter, on the stand-in, over HTTP."""

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import stripe

from functions.billing import stripe_api
from functions.billing.domain.invoices import Invoice, Line, Party
from functions.billing.domain.payments import Customer
from functions.billing.domain.periods import Period
from functions.billing.stripe_api import StripeApi
from functions.billing.stripe_port import Declined, Refused
from local.stripe import server
from shared.errors import Unavailable
from tests.stripe_stand_in import API_KEY, StandIn, adapter
from tests.unit.billing.world import NOON

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Use 'content=<...>'"),  # the package calls httpx in an old way
]

ACME = Customer("tnt_acme", "Acme Inc.", "owner@acme.example", NOON)
LINES = [
    Line("fee", "Monthly fee, standard", Period("2026-03"), None, 1_000_000, 99_000_000_000, 9_900),
    Line("usage", "Agent minutes", Period("2026-03"), "agent_minutes", 100_500_000, 20_000_000, 201),
    Line("late_usage", "Workflow runs, late", Period("2026-02"), "workflow_runs", 1, 1, 0),
]
INVOICE = Invoice(
    id="inv-1",
    number="ACME-202603",
    period=Period("2026-03"),
    currency="USD",
    party=Party("tnt_acme", "acme", "Acme Inc.", "standard"),
    lines=LINES,
    readings={},
    subtotal_minor=10_101,
    total_minor=10_101,
    catalogue="test",
    is_example=False,
    finalized_at=NOON,
)


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
    found = adapter(url, timeout_seconds=0.25)
    yield found
    await found.close()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    monkeypatch.setattr(stripe_api, "_RATE_LIMIT_PAUSES_SECONDS", (0.001,) * 3)


async def draft(api: StripeApi, stand_in: StandIn, card: str = "") -> str:
    """The id of a draft with all of its lines."""
    customer_id = await api.create_customer(ACME, "customer")
    if card:
        await stand_in.give_card(customer_id, card)
    made = await api.create_invoice(customer_id, INVOICE, "invoice")
    for line in range(len(LINES)):
        await api.create_item(customer_id, made.id, INVOICE, line, f"item:{line}")
    return made.id


async def test_an_invoice_at_stripe_is_ours_line_by_line(api: StripeApi, stand_in: StandIn) -> None:
    name = await draft(api, stand_in, "pm_card_visa")
    at_stripe = await stand_in.get(f"/v1/invoices/{name}")
    ours = {"tenant_id": "tnt_acme", "invoice_id": "inv-1", "period": "2026-03"}
    assert at_stripe["metadata"] == ours
    assert (at_stripe["total"], at_stripe["currency"], at_stripe["auto_advance"]) == (10_101, "usd", False)
    items = (await stand_in.every("invoiceitems"))[::-1]
    assert [(item["amount"], item["description"]) for item in items] == [
        (9_900, "Monthly fee, standard, 2026-03"),
        (201, "Agent minutes, 2026-03"),
        (0, "Workflow runs, late, 2026-02"),
    ]
    assert items[0]["metadata"] == {**ours, "line": "0"}
    assert await api.items(name) == {line: item["id"] for line, item in enumerate(items)}
    assert (await api.finalize(name, "finalize")).status == "open"
    paid = await api.pay(name, "pay")
    assert (paid.status, paid.paid_at is not None, paid.id) == ("paid", True, name)


async def test_every_request_names_the_pinned_version_and_every_change_a_key(
    api: StripeApi, stand_in: StandIn
) -> None:
    name = await draft(api, stand_in, "pm_card_visa")
    await stand_in.forget_requests()
    await api.finalize(name, "a")
    await api.pay(name, "b")
    await api.invoice(name)
    told = await stand_in.requests()
    assert [(request["method"], request["idempotency_key"]) for request in told] == [
        ("POST", "a"),
        ("POST", "b"),
        ("GET", None),
    ]
    assert stripe_api.API_VERSION == server.API_VERSION, "the package has moved to another version"


async def test_what_was_made_is_found_behind_a_hundred_others(api: StripeApi, stand_in: StandIn) -> None:
    customer_id = await api.create_customer(ACME, "customer")
    made = await api.create_invoice(customer_id, INVOICE, "invoice")
    for number in range(101):
        fields = {"email": ACME.email, "metadata[tenant_id]": f"tnt_{number}"}
        await stand_in.post("/v1/customers", **fields)
        await stand_in.post("/v1/invoices", customer=customer_id)
    assert await api.find_customer(ACME) == customer_id
    assert await api.find_invoice(customer_id, INVOICE) == made
    other = msgspec.structs.replace(INVOICE, id="inv-2")
    assert await api.find_invoice(customer_id, other) is None
    assert await api.find_customer(msgspec.structs.replace(ACME, email="x@acme.example")) is None


@pytest.mark.parametrize(("card", "has_one"), [("pm_card_visa", True), ("", False)])
async def test_a_default_card_can_be_charged(
    api: StripeApi, stand_in: StandIn, card: str, has_one: bool
) -> None:
    customer_id = await api.create_customer(ACME, "customer")
    if card:
        await stand_in.give_card(customer_id, card)
    assert await api.can_charge(customer_id) is has_one


TROUBLES: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 409},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 429, "headers": {"Stripe-Should-Retry": "true"}},
    {"kind": "status", "status": 500, "headers": {"Stripe-Should-Retry": "false"}},
    {"kind": "reset"},
    {"kind": "half_body"},
    {"kind": "invalid_json"},
    {"kind": "hang"},
    {"kind": "status", "status": 302},
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
async def test_trouble_ends_in_time_and_the_next_try_makes_one_invoice(
    api: StripeApi, stand_in: StandIn, trouble: dict[str, Any], when: str
) -> None:
    """B17, B21: it lasts, then it is over; the key is the same throughout."""
    customer_id = await api.create_customer(ACME, "customer")
    await stand_in.fault(path="/v1/invoices", when=when, times=None, **trouble)
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await api.create_invoice(customer_id, INVOICE, "invoice")
    assert time.monotonic() - began < 3
    assert refused.value.code in ("stripe_unavailable", "stripe_rate_limit")
    await stand_in.no_faults()
    made = await api.create_invoice(customer_id, INVOICE, "invoice")
    assert [each["id"] for each in await stand_in.every("invoices")] == [made.id]


@pytest.mark.parametrize("trouble", TROUBLES[:4] + TROUBLES[6:8], ids=str)
async def test_trouble_that_passes_is_not_felt(
    api: StripeApi, stand_in: StandIn, trouble: dict[str, Any]
) -> None:
    """B21: a try or two more, with the same key."""
    customer_id = await api.create_customer(ACME, "customer")
    await stand_in.fault(path="/v1/invoices", times=2, when="after", **trouble)
    made = await api.create_invoice(customer_id, INVOICE, "invoice")
    assert [each["id"] for each in await stand_in.every("invoices")] == [made.id]


@pytest.mark.parametrize(
    ("status", "tries"), [(429, 4), (500, 1 + stripe_api.NETWORK_RETRIES), (302, 1), (400, 1)]
)
async def test_the_tries_are_counted(api: StripeApi, stand_in: StandIn, status: int, tries: int) -> None:
    """B21: bounded, and no redirect is followed."""
    await stand_in.fault(kind="status", status=status, times=None)
    with pytest.raises((Unavailable, Refused)):
        await api.invoice("in_1")
    await stand_in.no_faults()
    counts = await stand_in.counts()
    assert counts == {"GET /v1/invoices/*": tries}


async def test_a_500_that_stripe_keeps_for_the_key_is_over_when_the_key_is(
    api: StripeApi, stand_in: StandIn
) -> None:
    customer_id = await api.create_customer(ACME, "customer")
    await stand_in.fault(kind="status", status=500, when="after", saved=True, path="/v1/invoices")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await api.create_invoice(customer_id, INVOICE, "invoice")
    made = await api.find_invoice(customer_id, INVOICE)
    assert made is not None, "so it is looked for before it is made again"


async def test_the_same_key_with_another_request_is_refused(api: StripeApi, stand_in: StandIn) -> None:
    """B19"""
    customer_id = await api.create_customer(ACME, "customer")
    await api.create_invoice(customer_id, INVOICE, "invoice")
    with pytest.raises(Refused) as refused:
        await api.create_invoice(customer_id, msgspec.structs.replace(INVOICE, number="OTHER"), "invoice")
    assert refused.value.reason == "stripe_key_reused"


async def test_a_declined_card_is_no_error_of_ours_and_stays_declined(
    api: StripeApi, stand_in: StandIn
) -> None:
    """B22"""
    name = await draft(api, stand_in, "pm_card_chargeCustomerFail")
    await api.finalize(name, "finalize")
    for _ in range(2):
        with pytest.raises(Declined):
            await api.pay(name, "pay")
    assert (await api.invoice(name)).status == "open"
    assert len(await stand_in.every("charges")) == 1, "the second answer is the first one again"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_stripe_refuses_is_named(
    stand_in: StandIn, url: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """B22: an operator is told which secret it is, and nothing of it; the message comes again."""
    key = "sk_test_" + "9" * 24
    api = adapter(url, key if status == 401 else API_KEY)
    if status == 403:
        await stand_in.fault(kind="status", status=403)
    with pytest.raises(Unavailable, match="stripe_key_refused: Stripe refuses secret stripe-api-key 1"):
        await api.invoice("in_1")
    await api.close()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "secret stripe-api-key version 1" in record.getMessage()
    assert key not in caplog.text


async def test_a_deleted_customer_is_gone(api: StripeApi, stand_in: StandIn) -> None:
    """B22"""
    customer_id = await api.create_customer(ACME, "customer")
    await stand_in.delete(f"/v1/customers/{customer_id}")
    for call in (api.create_invoice(customer_id, INVOICE, "invoice"), api.can_charge(customer_id)):
        with pytest.raises(Refused) as refused:
            await call
        assert refused.value.reason == "stripe_not_found"


async def test_what_is_not_there_or_not_possible_is_refused(api: StripeApi, stand_in: StandIn) -> None:
    with pytest.raises(Refused) as unknown:
        await api.invoice("in_nobodys")
    assert unknown.value.reason == "stripe_not_found"
    name = await draft(api, stand_in)
    with pytest.raises(Refused) as early:
        await api.pay(name, "pay")
    assert early.value.reason == "stripe_refused"
    many = msgspec.structs.replace(INVOICE, lines=LINES * 84)
    with pytest.raises(Refused) as too_many:
        await api.create_invoice("cus_1", many, "many")
    assert too_many.value.reason == "too_many_lines"


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"id": 5}', b'"text"', b"[" * 100_000])
async def test_an_answer_that_is_something_else_lets_the_message_come_again(body: bytes) -> None:
    """B21"""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    api = adapter(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    with pytest.raises(Unavailable):
        await api.invoice("in_1")
    await api.close()
    listening.close()


async def test_nothing_of_a_customer_or_key_is_logged_not_even_at_debug(
    api: StripeApi, stand_in: StandIn, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """G3, G4"""
    with caplog.at_level(logging.DEBUG):
        name = await draft(api, stand_in, "pm_card_chargeCustomerFail")
        await api.finalize(name, "finalize")
        with pytest.raises(Declined) as declined:
            await api.pay(name, "pay")
        await stand_in.fault(kind="status", status=500, times=None, path="/v1/invoices")
        with pytest.raises(Unavailable) as down:
            await api.create_invoice("cus_1", INVOICE, "other")
        await stand_in.no_faults()
        with pytest.raises(Refused) as refused:
            await api.create_invoice("cus_canary", INVOICE, "third")
    told = [caplog.text, *capfd.readouterr(), *(str(error.value) for error in (declined, down, refused))]
    for canary in (API_KEY, API_KEY[-16:], ACME.email, ACME.name, "cus_canary", "card was declined"):
        assert not [text for text in told if canary in text], canary
    assert declined.value.__suppress_context__
    assert down.value.__cause__ is None


async def test_calls_wait_for_each_other_where_there_are_too_many(api: StripeApi, stand_in: StandIn) -> None:
    name = await draft(api, stand_in)
    await asyncio.gather(*(api.invoice(name) for _ in range(3 * stripe_api.CALLS_AT_ONCE)))
    assert (await stand_in.counts())["GET /v1/invoices/*"] == 3 * stripe_api.CALLS_AT_ONCE


def test_the_package_is_imported_by_the_first_call_only() -> None:
    """The usage path and the HTTP door start without its 35 MB and tenths of a second."""
    program = (
        "import functions.billing.stripe_api, functions.billing.webhooks, sys; print('stripe' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "False\n"
