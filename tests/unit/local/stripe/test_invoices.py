"""Invoices go from draft to open to paid, void or uncollectible, and say at each step what is owed."""

import pytest
import stripe

from local.stripe import money
from tests.unit.local.stripe.conftest import WITH_STRIPES_CLIENT, StandIn, draft, opened, paying

pytestmark = WITH_STRIPES_CLIENT


def refusal(
    caught: pytest.ExceptionInfo[stripe.InvalidRequestError],
) -> tuple[int | None, str | None, str | None]:
    return caught.value.http_status, caught.value.code, caught.value.param


def test_a_draft_says_what_it_comes_to_and_repeats_its_customer(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    invoice = draft(stand_in, customer, 1000, 250, -50)
    assert (invoice.status, invoice.total, invoice.subtotal, invoice.amount_due) == (
        "draft",
        1200,
        1200,
        1200,
    )
    assert (invoice.customer_name, invoice.customer_email) == ("Acme", "pay@acme.example")
    assert (invoice.number, invoice.hosted_invoice_url, invoice.auto_advance) == (None, None, False)
    assert [line.amount for line in invoice.lines.data] == [1000, 250, -50]
    stand_in.v1.customers.update(customer.id, {"name": "Acme Ltd"})
    assert stand_in.v1.invoices.retrieve(invoice.id).customer_name == "Acme Ltd"


def test_finalising_fixes_what_is_owed_and_gives_a_number(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    first, second = opened(stand_in, customer, 1200), opened(stand_in, customer, 800)
    assert (first.status, first.amount_remaining, first.amount_paid, first.ending_balance) == (
        "open",
        1200,
        0,
        0,
    )
    assert first.status_transitions.finalized_at == first.effective_at
    prefix = stand_in.v1.customers.retrieve(customer.id).invoice_prefix
    assert [first.number, second.number] == [f"{prefix}-0001", f"{prefix}-0002"]
    stand_in.v1.customers.update(customer.id, {"name": "Renamed"})
    assert stand_in.v1.invoices.retrieve(first.id).customer_name == "Acme"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.finalize_invoice(first.id)
    assert refusal(caught) == (400, "invoice_not_editable", None)


def test_paying_charges_the_default_card_once(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = opened(stand_in, customer, 1200)
    paid = stand_in.v1.invoices.pay(invoice.id)
    assert (paid.status, paid.amount_paid, paid.amount_remaining, paid.attempt_count) == ("paid", 1200, 0, 1)
    assert paid.status_transitions.paid_at is not None
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        stand_in.v1.invoices.pay(invoice.id)
    assert [(each.amount, each.status) for each in stand_in.v1.charges.list().data] == [(1200, "succeeded")]
    (payment,) = stand_in.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert (payment.status, payment.amount_paid) == ("paid", 1200)


def test_b22_a_declined_card_is_402_and_the_invoice_stays_open(stand_in: StandIn) -> None:
    customer = paying(stand_in, "pm_card_chargeCustomerFail")
    invoice = opened(stand_in, customer, 1200)
    with pytest.raises(stripe.CardError) as caught:
        stand_in.v1.invoices.pay(invoice.id, options={"idempotency_key": "one"})
    error = caught.value.error
    assert error is not None
    assert (caught.value.code, error.decline_code, error.type) == (
        "card_declined",
        "generic_decline",
        "card_error",
    )
    assert error.payment_intent is not None
    assert (error.payment_intent.status, error.payment_intent.payment_method) == (
        "requires_payment_method",
        None,
    )
    tried = stand_in.v1.invoices.retrieve(invoice.id)
    assert (tried.status, tried.attempted, tried.attempt_count) == ("open", True, 1)
    assert [each.status for each in stand_in.v1.invoice_payments.list({"invoice": invoice.id}).data] == [
        "open"
    ]
    assert stand_in.v1.customers.retrieve(customer.id).delinquent is True
    with pytest.raises(stripe.CardError):
        stand_in.v1.invoices.pay(invoice.id, options={"idempotency_key": "one"})
    assert stand_in.v1.invoices.retrieve(invoice.id).attempt_count == 1
    good = stand_in.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    assert stand_in.v1.invoices.pay(invoice.id, {"payment_method": good.id}).status == "paid"
    assert [each.status for each in stand_in.v1.charges.list().data] == ["succeeded", "failed"]
    assert stand_in.v1.customers.retrieve(customer.id).delinquent is False


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ],
)
def test_a_card_that_its_bank_refuses_is_not_attached(
    stand_in: StandIn, customer: stripe.Customer, card: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        stand_in.v1.payment_methods.attach(card, {"customer": customer.id})
    assert caught.value.error is not None
    assert (caught.value.code, caught.value.error.decline_code) == (code, decline_code)
    assert len(stand_in.v1.customers.payment_methods.list(customer.id).data) == 1


def test_without_a_card_nothing_is_charged(stand_in: StandIn) -> None:
    customer = stand_in.v1.customers.create({"name": "No card"})
    invoice = opened(stand_in, customer, 1200)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.pay(invoice.id)
    assert refusal(caught) == (400, "resource_missing", None)
    other = paying(stand_in, "pm_card_visa")
    (card,) = stand_in.v1.customers.payment_methods.list(other.id).data
    with pytest.raises(stripe.InvalidRequestError, match="must be attached"):
        stand_in.v1.invoices.pay(invoice.id, {"payment_method": card.id})
    assert stand_in.v1.invoices.retrieve(invoice.id).attempt_count == 0
    assert stand_in.v1.invoices.pay(invoice.id, {"paid_out_of_band": True}).amount_paid_off_stripe == 1200
    assert stand_in.v1.charges.list().data == []
    assert [each.status for each in stand_in.v1.payment_intents.list().data] == ["canceled"]


def test_a_void_invoice_is_owed_no_more(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = opened(stand_in, customer, 1200)
    written_off = stand_in.v1.invoices.mark_uncollectible(invoice.id)
    assert (written_off.status, written_off.amount_remaining) == ("uncollectible", 1200)
    void = stand_in.v1.invoices.void_invoice(invoice.id)
    assert void.status == "void"
    assert void.status_transitions.voided_at is not None
    assert [each.status for each in stand_in.v1.payment_intents.list().data] == ["canceled"]
    path = f"/v1/invoices/{invoice.id}"
    assert stand_in.raw("DELETE", path).status_code == 400
    for action in ("pay", "void", "mark_uncollectible", "finalize", "send"):
        assert stand_in.raw("POST", f"{path}/{action}").status_code == 400
    assert stand_in.v1.charges.list().data == []


def test_only_drafts_are_deleted_and_their_items_with_them(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    invoice = draft(stand_in, customer, 100, 200)
    assert stand_in.v1.invoices.delete(invoice.id).deleted is True
    assert stand_in.v1.invoice_items.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.retrieve(invoice.id)
    assert refusal(caught) == (404, "resource_missing", "invoice")


def test_a_finalised_invoice_takes_no_more_items_and_changes(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    invoice = opened(stand_in, customer, 1200)
    (item,) = stand_in.v1.invoice_items.list({"invoice": invoice.id}).data
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 1})
    assert refusal(caught) == (400, "invoice_not_editable", "invoice")
    for forbidden in (
        lambda: stand_in.v1.invoice_items.update(item.id, {"amount": 1}),
        lambda: stand_in.v1.invoice_items.delete(item.id),
        lambda: stand_in.v1.invoices.update(invoice.id, {"description": "Other"}),
    ):
        with pytest.raises(stripe.InvalidRequestError):
            forbidden()
    changed = stand_in.v1.invoices.update(invoice.id, {"metadata": {"invoice_id": "inv_1"}})
    assert changed.metadata is not None
    assert (changed.metadata["invoice_id"], changed.total) == ("inv_1", 1200)


def test_an_item_is_of_its_invoices_customer_and_currency(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    invoice = draft(stand_in, customer)
    other = paying(stand_in, "pm_card_visa")
    for owner, currency in ((other, "usd"), (customer, "eur")):
        with pytest.raises(stripe.InvalidRequestError):
            stand_in.v1.invoice_items.create(
                {"customer": owner.id, "invoice": invoice.id, "amount": 1, "currency": currency}
            )
    assert stand_in.v1.invoice_items.list().data == []


def test_pending_items_are_taken_on_request_only(stand_in: StandIn, customer: stripe.Customer) -> None:
    stand_in.v1.invoice_items.create({"customer": customer.id, "amount": 400, "currency": "usd"})
    assert [draft(stand_in, customer).total, draft(stand_in, customer, 70).total] == [0, 70]
    taking = stand_in.v1.invoices.create(
        {"customer": customer.id, "currency": "usd", "pending_invoice_items_behavior": "include"}
    )
    assert taking.total == 400
    assert stand_in.v1.invoice_items.list({"pending": True}).data == []


def test_an_invoice_holds_250_items(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = draft(stand_in, customer)
    body = f"customer={customer.id}&invoice={invoice.id}&amount=1"
    assert {stand_in.raw("POST", "/v1/invoiceitems", body).status_code for _ in range(250)} == {200}
    assert stand_in.raw("POST", "/v1/invoiceitems", body).status_code == 400
    found = stand_in.v1.invoices.retrieve(invoice.id)
    assert (found.total, len(found.lines.data), found.lines.has_more) == (250, 10, True)
    assert len([*stand_in.v1.invoices.line_items.list(invoice.id, {"limit": 100}).auto_paging_iter()]) == 250


@pytest.mark.parametrize(("currency", "amount", "owed"), [("usd", 49, 0), ("usd", 50, 50), ("gbp", 30, 30)])
def test_what_is_too_little_to_charge_is_carried_over(
    stand_in: StandIn, customer: stripe.Customer, currency: str, amount: int, owed: int
) -> None:
    made = stand_in.v1.invoices.create({"customer": customer.id, "currency": currency})
    stand_in.v1.invoice_items.create({"customer": customer.id, "invoice": made.id, "amount": amount})
    invoice = stand_in.v1.invoices.finalize_invoice(made.id)
    assert (invoice.total, invoice.amount_due, invoice.status) == (amount, owed, "open" if owed else "paid")
    assert stand_in.v1.customers.retrieve(customer.id).balance == amount - owed


def test_credit_is_used_by_the_next_invoice_and_returned_by_a_void_one(
    stand_in: StandIn, customer: stripe.Customer
) -> None:
    credit = opened(stand_in, customer, -300)
    assert (credit.status, credit.total, credit.amount_due, credit.ending_balance) == ("paid", -300, 0, -300)
    following = opened(stand_in, customer, 1000)
    assert (following.starting_balance, following.amount_due, following.ending_balance) == (-300, 700, 0)
    assert stand_in.v1.customers.retrieve(customer.id).balance == 0
    stand_in.v1.invoices.void_invoice(following.id)
    assert stand_in.v1.customers.retrieve(customer.id).balance == -300
    assert stand_in.v1.charges.list().data == []


def test_more_than_can_be_charged_is_not_finalised(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = draft(stand_in, customer, 99_999_999, 1)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.finalize_invoice(invoice.id)
    assert refusal(caught) == (400, "amount_too_large", None)
    assert stand_in.v1.invoices.retrieve(invoice.id).status == "draft"


@pytest.mark.parametrize(("currency", "amount"), [("kwd", 1255), ("isk", 1250), ("ugx", 500_001)])
def test_amounts_that_cards_cannot_be_charged_with_are_not_finalised(
    stand_in: StandIn, customer: stripe.Customer, currency: str, amount: int
) -> None:
    made = stand_in.v1.invoices.create({"customer": customer.id, "currency": currency})
    stand_in.v1.invoice_items.create({"customer": customer.id, "invoice": made.id, "amount": amount})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.finalize_invoice(made.id)
    assert refusal(caught) == (400, "invalid_charge_amount", None)
    rest = -(amount % 100)
    stand_in.v1.invoice_items.create({"customer": customer.id, "invoice": made.id, "amount": rest})
    assert stand_in.v1.invoices.finalize_invoice(made.id).amount_due == amount + rest


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (5, "usd", "0.05 USD"),
        (-1250, "eur", "-12.50 EUR"),
        (1200, "jpy", "1200 JPY"),
        (1250, "kwd", "1.250 KWD"),
    ],
)
def test_amounts_are_shown_to_people_in_units(amount: int, currency: str, text: str) -> None:
    assert money.shown(amount, currency) == text


def test_a_deleted_customer_is_billed_no_more(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = draft(stand_in, customer, 1200)
    assert stand_in.v1.customers.delete(customer.id).deleted is True
    gone = stand_in.v1.customers.retrieve(customer.id)
    assert gone.to_dict() == {"id": customer.id, "object": "customer", "deleted": True}
    assert stand_in.v1.customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.invoices.create({"customer": customer.id})
    assert refusal(caught) == (400, "resource_missing", "customer")
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.v1.invoices.finalize_invoice(invoice.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stand_in.v1.customers.update(customer.id, {"name": "Back"})
    assert refusal(caught) == (404, "resource_missing", "id")


def test_invoices_that_are_sent_have_a_due_date(stand_in: StandIn, customer: stripe.Customer) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="days_until_due"):
        stand_in.v1.invoices.create({"customer": customer.id, "collection_method": "send_invoice"})
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.v1.invoices.create({"customer": customer.id, "days_until_due": 14})
    sent = stand_in.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 14}
    )
    assert sent.due_date == sent.created + 14 * 86_400
    stand_in.v1.invoice_items.create({"customer": customer.id, "invoice": sent.id, "amount": 900})
    stand_in.v1.invoices.finalize_invoice(sent.id)
    assert stand_in.v1.invoices.send_invoice(sent.id).status == "open"


def test_lists_come_in_pages_newest_first(stand_in: StandIn, customer: stripe.Customer) -> None:
    made = [draft(stand_in, customer).id for _ in range(5)]
    made_first = stand_in.v1.invoices.retrieve(made[0]).created
    stand_in.v1.invoices.create({"customer": paying(stand_in, "pm_card_visa").id})
    stand_in.v1.invoices.finalize_invoice(made[0])
    page = stand_in.v1.invoices.list({"customer": customer.id, "limit": 2})
    assert ([each.id for each in page.data], page.has_more) == ([made[4], made[3]], True)
    everything = stand_in.v1.invoices.list({"customer": customer.id, "limit": 2}).auto_paging_iter()
    assert [each.id for each in everything] == made[::-1]
    back = stand_in.v1.invoices.list({"customer": customer.id, "limit": 2, "ending_before": made[1]})
    assert ([each.id for each in back.data], back.has_more) == ([made[3], made[2]], True)
    assert [each.id for each in stand_in.v1.invoices.list({"status": "paid"}).data] == [made[0]]
    for size in (4, 5):
        found = stand_in.v1.invoices.list({"customer": customer.id, "limit": size})
        assert (len(found.data), found.has_more) == (size, size == 4)
        before = stand_in.v1.invoices.list(
            {"limit": size - 1, "ending_before": made[0], "customer": customer.id}
        )
        assert (len(before.data), before.has_more) == (size - 1, size == 4)
    newest = page.data[0].created
    assert stand_in.v1.invoices.list({"created": {"gt": newest + 5}}).data == []
    assert len(stand_in.v1.invoices.list({"created": {"gte": made_first, "lte": newest + 5}}).data) == 6
    assert stand_in.v1.invoices.list({"created": {"lt": made_first}}).data == []
    for wrong in ({"limit": 0}, {"limit": 101}, {"starting_after": "in_unknown"}):
        with pytest.raises(stripe.InvalidRequestError):
            stand_in.v1.invoices.list(wrong)  # type: ignore[arg-type]


def test_automatic_collection_goes_by_the_clock(stand_in: StandIn, customer: stripe.Customer) -> None:
    invoice = stand_in.v1.invoices.create({"customer": customer.id, "auto_advance": True, "currency": "usd"})
    stand_in.v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 1200})
    gone = paying(stand_in, "pm_card_visa")
    stuck = stand_in.v1.invoices.create({"customer": gone.id, "auto_advance": True})
    stand_in.v1.customers.delete(gone.id)
    stand_in.control("POST", "clock", seconds=3_500)
    assert stand_in.v1.invoices.retrieve(invoice.id).status == "draft"
    stand_in.control("POST", "clock", seconds=100)
    assert stand_in.v1.invoices.retrieve(invoice.id).status == "open"
    failed = stand_in.v1.invoices.retrieve(stuck.id)
    assert failed.status == "draft"
    assert failed.last_finalization_error is not None
    stand_in.control("POST", "clock", seconds=3_600)
    assert stand_in.v1.invoices.retrieve(invoice.id).status == "paid"
    (event,) = stand_in.v1.events.list({"type": "invoice.paid"}).data
    assert event.to_dict()["request"] == {"id": None, "idempotency_key": None}


def test_automatic_collection_tries_a_bad_card_once(stand_in: StandIn) -> None:
    invoice = draft(stand_in, paying(stand_in, "pm_card_chargeCustomerFail"), 1200)
    waiting = stand_in.v1.invoices.finalize_invoice(invoice.id, {"auto_advance": True})
    assert waiting.next_payment_attempt == waiting.effective_at + 3600  # type: ignore[operator]
    for _ in range(2):
        stand_in.control("POST", "clock", seconds=3_600)
    failed = stand_in.v1.invoices.retrieve(invoice.id)
    assert (failed.status, failed.attempt_count, failed.next_payment_attempt) == ("open", 1, None)
