"""Objects have the shape that Stripe's package declares for them, and come out of it as its own classes."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import stripe

from tests.unit.local.stripe.conftest import KEY, WITH_STRIPES_CLIENT, StandIn, draft, opened, paying

pytestmark = WITH_STRIPES_CLIENT

PRIMITIVE = (int, str, bool)


def flaws(value: Any, declared: Any, path: str) -> Iterator[str]:
    """Where a JSON value is not what an annotation of the package says."""
    choices = get_args(declared) if type(None) in get_args(declared) else (declared,)
    if value is None:
        if type(None) not in choices:
            yield f"{path} is null"
        return
    classes = [each for each in choices if isinstance(each, type)]
    nested = [each for each in classes if issubclass(each, stripe.StripeObject)]
    if isinstance(value, dict) and nested:
        yield from missing(value, nested[0], path)
    elif len(classes) == len(choices) == 1 and classes[0] in PRIMITIVE and type(value) is not classes[0]:
        yield f"{path} is {type(value).__name__}"


def missing(value: dict[str, Any], kind: type, path: str) -> Iterator[str]:
    """The fields that the package has always there but which are not, and those that it does not know."""
    declared: dict[str, Any] = {
        name: hint for name, hint in kind.__annotations__.items() if "ClassVar" not in str(hint)
    }
    for name in value.keys() - declared.keys():
        yield f"{path}.{name} is unknown"
    for name, hint in declared.items():
        if name in value:
            yield from flaws(value[name], hint, f"{path}.{name}")
        elif type(None) not in get_args(hint):
            yield f"{path}.{name} is missing"


def all_objects(stand_in: StandIn) -> dict[type, list[dict[str, Any]]]:
    customer = paying(stand_in, "pm_card_visa")
    paid = opened(stand_in, customer, 500, -100)
    stand_in.v1.invoices.pay(paid.id)
    poor = paying(stand_in, "pm_card_chargeCustomerFail")
    open_invoice = opened(stand_in, poor, 700)
    with pytest.raises(stripe.CardError):
        stand_in.v1.invoices.pay(open_invoice.id)
    draft(stand_in, customer, 300)
    paths = {
        stripe.Customer: "customers",
        stripe.PaymentMethod: f"customers/{customer.id}/payment_methods",
        stripe.Invoice: "invoices",
        stripe.InvoiceItem: "invoiceitems",
        stripe.InvoiceLineItem: f"invoices/{paid.id}/lines",
        stripe.InvoicePayment: "invoice_payments",
        stripe.PaymentIntent: "payment_intents",
        stripe.Charge: "charges",
        stripe.Event: "events?limit=100",
    }
    return {kind: stand_in.raw("GET", f"/v1/{path}").json()["data"] for kind, path in paths.items()}


def test_every_field_that_the_package_has_always_there_is_there(stand_in: StandIn) -> None:
    found = all_objects(stand_in)
    assert all(found.values())
    assert len(found[stripe.Invoice]) == 3
    assert [
        flaw
        for kind, objects in found.items()
        for each in objects
        for flaw in missing(each, kind, kind.__name__)
    ] == []


def test_what_events_hold_has_the_shape_of_what_it_is(stand_in: StandIn) -> None:
    events = all_objects(stand_in)[stripe.Event]
    classes = {
        "customer": stripe.Customer,
        "payment_method": stripe.PaymentMethod,
        "invoice": stripe.Invoice,
        "invoiceitem": stripe.InvoiceItem,
        "invoice_payment": stripe.InvoicePayment,
        "payment_intent": stripe.PaymentIntent,
        "charge": stripe.Charge,
    }
    told = [event["data"]["object"] for event in events]
    assert {each["object"] for each in told} == classes.keys()
    assert [flaw for each in told for flaw in missing(each, classes[each["object"]], each["object"])] == []
    assert {(event["livemode"], event["api_version"], event.get("account")) for event in events} == {
        (False, stripe.api_version, None)
    }


def test_they_come_out_as_the_packages_classes(stand_in: StandIn) -> None:
    customer = paying(stand_in, "pm_card_visa")
    invoice = stand_in.v1.invoices.retrieve(
        opened(stand_in, customer, 500).id,
        {"expand": ["customer", "payments.data.payment.payment_intent", "confirmation_secret"]},
    )
    assert isinstance(invoice.customer, stripe.Customer)
    assert invoice.customer.name == "Acme"
    assert isinstance(invoice.lines.data[0], stripe.InvoiceLineItem)
    assert invoice.payments is not None
    intent = invoice.payments.data[0].payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.amount, intent.status) == (500, "requires_payment_method")
    assert invoice.confirmation_secret is not None
    assert invoice.confirmation_secret.client_secret == intent.client_secret
    assert stand_in.v1.payment_intents.retrieve(intent.id).id == intent.id


def test_an_invoice_is_whole_wherever_it_is_expanded(stand_in: StandIn) -> None:
    invoice = opened(stand_in, paying(stand_in, "pm_card_visa"), 500)
    (item,) = stand_in.v1.invoice_items.list({"invoice": invoice.id, "expand": ["data.invoice"]}).data
    assert isinstance(item.invoice, stripe.Invoice)
    assert item.invoice.to_dict() == invoice.to_dict()


@pytest.mark.parametrize("path", ["nothing", "total", "total.more", "customer.name.more", "a.b.c.d.e"])
def test_what_cannot_be_expanded_is_refused(stand_in: StandIn, path: str) -> None:
    invoice = opened(stand_in, paying(stand_in, "pm_card_visa"), 500)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.retrieve(invoice.id, {"expand": [path]})
    assert caught.value.param == "expand"


@pytest.mark.anyio
async def test_the_asynchronous_client_is_served_alike(stand_in: StandIn) -> None:
    http = stripe.HTTPXClient(timeout=5)
    client = stripe.StripeClient(KEY, base_addresses={"api": stand_in.url}, http_client=http)
    made = await client.v1.customers.create_async({"name": "Ünï", "metadata": {"tenant_id": "tnt_1"}})
    found = await client.v1.customers.list_async({"limit": 1})
    assert [(each.id, each.name) for each in found.data] == [(made.id, "Ünï")]
    assert found.data[0].to_dict()["metadata"] == {"tenant_id": "tnt_1"}
    await http.close_async()  # type: ignore[no-untyped-call]
