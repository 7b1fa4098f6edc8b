"""Customers and the cards that are theirs."""

import pytest
import stripe

from tests.unit.local.stripe.conftest import WITH_STRIPES_CLIENT, StandIn, draft, paying

pytestmark = WITH_STRIPES_CLIENT


def cards_of(stand_in: StandIn, customer: stripe.Customer) -> list[str]:
    return [each.id for each in stand_in.v1.customers.payment_methods.list(customer.id).data]


def default_of(stand_in: StandIn, customer: stripe.Customer) -> object:
    settings = stand_in.v1.customers.retrieve(customer.id).invoice_settings
    assert settings is not None
    return settings.default_payment_method


def test_a_customer_may_come_with_its_card(stand_in: StandIn) -> None:
    made = stand_in.v1.customers.create({"name": "a", "payment_method": "pm_card_visa"})
    (card,) = stand_in.v1.payment_methods.list({"customer": made.id, "type": "card"}).data
    assert card.card is not None
    assert (card.card.last4, default_of(stand_in, made)) == ("4242", None)
    assert stand_in.v1.payment_methods.list({"customer": made.id, "type": "sepa_debit"}).data == []
    with pytest.raises(stripe.CardError):
        stand_in.v1.customers.create({"name": "b", "payment_method": "pm_card_chargeDeclined"})
    assert len(stand_in.v1.customers.list().data) == 1


def test_a_token_makes_a_card_that_can_be_described(stand_in: StandIn, customer: stripe.Customer) -> None:
    made = stand_in.v1.payment_methods.create({"type": "card", "card": {"token": "tok_mastercard"}})
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.v1.payment_methods.update(made.id, {"metadata": {"a": "b"}})
    stand_in.v1.payment_methods.attach(made.id, {"customer": customer.id})
    changed = stand_in.v1.payment_methods.update(
        made.id, {"metadata": {"a": "b"}, "billing_details": {"name": "Ada"}}
    )
    assert (changed.to_dict()["metadata"], changed.billing_details.name) == ({"a": "b"}, "Ada")


def test_a_card_is_one_customers_only(stand_in: StandIn, customer: stripe.Customer) -> None:
    other = paying(stand_in, "pm_card_amex")
    (card,) = cards_of(stand_in, customer)
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        stand_in.v1.payment_methods.attach(card, {"customer": other.id})
    for refused in (
        lambda: stand_in.v1.customers.update(
            other.id, {"invoice_settings": {"default_payment_method": card}}
        ),
        lambda: stand_in.v1.invoices.create({"customer": other.id, "default_payment_method": card}),
    ):
        with pytest.raises(stripe.InvalidRequestError, match="does not have a payment method"):
            refused()
    assert cards_of(stand_in, customer) == [card]


def test_a_card_that_is_detached_is_no_default_any_more(stand_in: StandIn, customer: stripe.Customer) -> None:
    (card,) = cards_of(stand_in, customer)
    assert default_of(stand_in, customer) == card
    assert stand_in.v1.payment_methods.detach(card).customer is None
    assert (default_of(stand_in, customer), cards_of(stand_in, customer)) == (None, [])
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.v1.payment_methods.detach(card)


def test_an_invoices_own_card_goes_before_the_customers(stand_in: StandIn, customer: stripe.Customer) -> None:
    bad = stand_in.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    invoice = draft(stand_in, customer, 500)
    stand_in.v1.invoices.update(invoice.id, {"default_payment_method": bad.id})
    stand_in.v1.invoices.finalize_invoice(invoice.id)
    with pytest.raises(stripe.CardError):
        stand_in.v1.invoices.pay(invoice.id)


def test_a_deleted_customers_cards_are_nobodys(stand_in: StandIn, customer: stripe.Customer) -> None:
    (card,) = cards_of(stand_in, customer)
    stand_in.v1.customers.delete(customer.id)
    assert stand_in.v1.payment_methods.retrieve(card).customer is None


def test_an_update_that_changes_nothing_is_no_news(stand_in: StandIn, customer: stripe.Customer) -> None:
    before = len(stand_in.v1.events.list({"type": "customer.updated"}).data)
    stand_in.v1.customers.update(customer.id, {"name": "Acme"})
    assert len(stand_in.v1.events.list({"type": "customer.updated"}).data) == before
    changed = stand_in.v1.customers.update(customer.id, {"address": {"city": "Ulm"}, "balance": -5})
    assert changed.address is not None
    assert (changed.address.city, changed.address.country, changed.balance) == ("Ulm", None, -5)
    assert stand_in.v1.customers.update(customer.id, {"address": ""}).address is None


def test_customers_are_found_by_their_exact_address(stand_in: StandIn) -> None:
    made = [stand_in.v1.customers.create({"email": email}).id for email in ("a@x.example", "A@x.example")]
    assert [each.id for each in stand_in.v1.customers.list({"email": "a@x.example"}).data] == made[:1]
