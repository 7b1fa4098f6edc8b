"""The page of an invoice shows it and takes a card, without a script."""

import pytest
import stripe

from tests.unit.local.stripe.conftest import WITH_STRIPES_CLIENT, StandIn, opened

pytestmark = WITH_STRIPES_CLIENT


@pytest.fixture
def invoice(stand_in: StandIn) -> stripe.Invoice:
    customer = stand_in.v1.customers.create({"name": "<b>Acme & Co</b>"})
    made = stand_in.v1.invoices.create({"customer": customer.id, "currency": "usd"})
    stand_in.v1.invoice_items.create(
        {"customer": customer.id, "invoice": made.id, "amount": 1200, "description": "<script>x</script>"}
    )
    return stand_in.v1.invoices.finalize_invoice(made.id)


def test_it_shows_the_invoice_and_nothing_that_runs(stand_in: StandIn, invoice: stripe.Invoice) -> None:
    page = stand_in.page("GET", str(invoice.hosted_invoice_url))
    assert page.status_code == 200
    assert "&lt;b&gt;Acme &amp; Co&lt;/b&gt;" in page.text
    assert "&lt;script&gt;x&lt;/script&gt;" in page.text
    assert "<script" not in page.text
    assert str(invoice.number) in page.text
    assert "12.00 USD" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_good_card_pays_once(stand_in: StandIn, invoice: stripe.Invoice) -> None:
    url = str(invoice.hosted_invoice_url)
    for _ in range(2):
        answer = stand_in.page("POST", url, card="visa")
        assert (answer.status_code, url.endswith(answer.headers["location"])) == (303, True)
    assert "This invoice is paid." in stand_in.page("GET", url).text
    assert stand_in.v1.invoices.retrieve(invoice.id).status == "paid"
    assert [each.status for each in stand_in.v1.charges.list().data] == ["succeeded"]
    assert "invoice.paid" in [each.type for each in stand_in.v1.events.list().data]


def test_a_declined_card_says_so_and_another_may_be_tried(stand_in: StandIn, invoice: stripe.Invoice) -> None:
    url = str(invoice.hosted_invoice_url)
    answer = stand_in.page("POST", url, card="chargeDeclinedInsufficientFunds")
    assert (answer.status_code, "insufficient funds" in answer.text) == (402, True)
    assert "<form" in answer.text
    failed = stand_in.v1.invoices.retrieve(invoice.id)
    assert (failed.status, failed.attempt_count) == ("open", 1)
    assert stand_in.page("POST", url, card="visa").status_code == 303
    assert stand_in.v1.invoices.retrieve(invoice.id).status == "paid"


@pytest.mark.parametrize("form", [{}, {"card": "gold"}, {"card[a]": "visa"}])
def test_no_card_is_no_payment(stand_in: StandIn, invoice: stripe.Invoice, form: dict[str, str]) -> None:
    assert stand_in.page("POST", str(invoice.hosted_invoice_url), **form).status_code == 400
    assert stand_in.v1.invoices.retrieve(invoice.id).attempt_count == 0


def test_unknown_and_void_invoices_take_no_card(stand_in: StandIn, invoice: stripe.Invoice) -> None:
    assert stand_in.page("GET", f"{stand_in.url}/i/unknown").status_code == 404
    stand_in.v1.invoices.void_invoice(invoice.id)
    stand_in.page("POST", str(invoice.hosted_invoice_url), card="visa")
    page = stand_in.page("GET", str(invoice.hosted_invoice_url)).text
    assert "This invoice is void." in page
    assert "<form" not in page
    assert stand_in.v1.charges.list().data == []


def test_a_customer_without_a_name_is_shown_by_id(stand_in: StandIn) -> None:
    customer = stand_in.v1.customers.create({})
    page = stand_in.page("GET", str(opened(stand_in, customer, 900).hosted_invoice_url))
    assert customer.id in page.text
