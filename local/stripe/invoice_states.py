"""What becomes of an invoice: draft → open → paid, void or uncollectible, and collection by itself."""

from typing import Any

from local.stripe import cards, invoices, payments
from local.stripe.account import Account, random_text
from local.stripe.errors import ApiError, CardDeclined, not_possible
from local.stripe.money import check_chargeable, smallest_charge
from local.stripe.storage import Object

FINALIZED_WITH = frozenset(["auto_advance", "expand"])
PAID_WITH = frozenset(["expand", "off_session", "paid_out_of_band", "payment_method"])


def finalize(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """Fixes what is owed. Nothing, or too little to charge, makes it paid at once."""
    before = account.in_path("invoice", invoice_id, "invoice")
    if before["status"] != "draft":
        raise not_possible(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            "invoice_not_editable",
        )
    customer = account.named("customer", before, "customer")
    now = account.now()
    invoice = {**before, **invoices.totals(account, before), **invoices.of_customer(account, before)}
    check_chargeable(invoice["amount_due"], invoice["currency"])
    sequence = customer["next_invoice_sequence"]
    invoice |= {
        "auto_advance": params.get("auto_advance", before["auto_advance"]),
        "automatically_finalizes_at": None,
        "effective_at": before["effective_at"] or now,
        "last_finalization_error": None,
        "ending_balance": min(invoice["total"] + invoice["starting_balance"], 0),
        "hosted_invoice_url": f"/i/{random_text(40)}",
        "number": before["number"] or f"{customer['invoice_prefix']}-{sequence:04}",
        "status": "open",
        "status_transitions": {**before["status_transitions"], "finalized_at": now},
    }
    if 0 < invoice["amount_due"] < smallest_charge(invoice["currency"]):
        invoice |= {"amount_due": 0, "amount_remaining": 0, "ending_balance": invoice["amount_due"]}
    account.save({**customer, "balance": invoice["ending_balance"], "next_invoice_sequence": sequence + 1})
    if invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically":
        invoice["next_payment_attempt"] = now + account.advance_seconds
    account.save(invoice)
    account.emit("invoice.finalized", invoices.shown(account, invoice))
    if invoice["amount_due"] == 0:
        _set_paid(account, invoice)
    else:
        payments.request(account, invoice)
    return invoices.retrieve(account, invoice_id, {})


def pay(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """With the card given, the invoice's or the customer's default. Raises `ApiError`, 402 for a decline."""
    invoice = account.in_path("invoice", invoice_id, "invoice")
    if invoice["status"] == "paid":
        raise not_possible("Invoice is already paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise not_possible(f"Only open invoices can be paid; this one is {invoice['status']}.")
    if params.get("paid_out_of_band"):
        payments.cancel(account, invoice, "automatic")
        _set_paid(account, invoice, out_of_band=True)
        return invoices.retrieve(account, invoice_id, {})
    return charge(account, invoice, _card(account, invoice, params))


def charge(account: Account, invoice: Object, card: Object) -> Object:
    """Pays what is owed with a card. Raises `CardDeclined`; the attempt is on the invoice then."""
    intent, decline = payments.charge(account, invoice, card)
    invoice |= {"attempt_count": invoice["attempt_count"] + 1, "attempted": True}
    if decline is None:
        _set_paid(account, invoice)
        return invoices.retrieve(account, invoice["id"], {})
    _set_failed(account, invoice)
    if decline.code == "authentication_required":
        account.emit("invoice.payment_action_required", invoices.shown(account, invoice))
    raise cards.declined(decline, charge=intent["latest_charge"], payment_intent=intent, payment_method=card)


def void(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """For good: nothing is owed, the record stays; what the customer's balance gave goes back to it."""
    invoice = _in_status(account, invoice_id, "voided", "open", "uncollectible")
    payments.cancel(account, invoice, "void_invoice")
    customer = account.find("customer", invoice["customer"])
    if customer is not None and not customer.get("deleted"):
        applied = invoice["starting_balance"] - invoice["ending_balance"]
        account.save({**customer, "balance": customer["balance"] + applied})
    _set(account, invoice, "void", "voided_at")
    account.emit("invoice.voided", invoices.shown(account, invoice))
    return invoices.retrieve(account, invoice_id, {})


def mark_uncollectible(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """It can still be paid or voided."""
    invoice = _in_status(account, invoice_id, "marked as uncollectible", "open")
    _set(account, invoice, "uncollectible", "marked_uncollectible_at")
    account.emit("invoice.marked_uncollectible", invoices.shown(account, invoice))
    return invoices.retrieve(account, invoice_id, {})


def send(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """Nobody gets an e-mail from here, but the event is there."""
    invoice = _in_status(account, invoice_id, "sent", "open")
    if invoice["collection_method"] != "send_invoice":
        raise not_possible(
            "You can only manually send an invoice if its collection method is 'send_invoice'."
        )
    account.emit("invoice.sent", invoices.shown(account, invoice))
    return invoices.retrieve(account, invoice_id, {})


def advance(account: Account) -> int:
    """Automatic collection: finalises and charges what is due by the account's clock; how many that were.

    Each step is tried once, so what a bank refuses stays open until somebody pays it.
    """
    due = 0
    for status, at, step in (
        ("draft", "automatically_finalizes_at", _finalize_by_itself),
        ("open", "next_payment_attempt", _charge_by_itself),
    ):
        for invoice in account.storage.of_kind("invoice", {"$.status": status, "$.auto_advance": True}):
            if invoice[at] is not None and invoice[at] <= account.now():
                due += 1
                step(account, {**invoice, at: None})
    return due


def _finalize_by_itself(account: Account, invoice: Object) -> None:
    account.save(invoice)
    try:
        finalize(account, invoice["id"], {})
    except ApiError as error:
        failed = {**invoice, "last_finalization_error": error.body["error"]}
        account.save(failed)
        account.emit("invoice.finalization_failed", invoices.shown(account, failed))


def _charge_by_itself(account: Account, invoice: Object) -> None:
    account.save(invoice)
    try:
        pay(account, invoice["id"], {})
    except CardDeclined:
        return
    except ApiError:
        _set_failed(account, {**invoice, "attempt_count": invoice["attempt_count"] + 1, "attempted": True})


def _card(account: Account, invoice: Object, params: dict[str, Any]) -> Object:
    customer = account.find("customer", invoice["customer"]) or {}
    default = customer.get("invoice_settings", {}).get("default_payment_method")
    chosen = params.get("payment_method") or invoice["default_payment_method"] or default
    if chosen is None:
        raise not_possible(
            "This customer has no attached payment source or default payment method. Please consider adding a"
            " default payment method.",
            "resource_missing",
        )
    card = cards.usable(account, chosen, "payment_method")
    if card["customer"] != invoice["customer"]:
        raise not_possible(
            f"The customer does not have a payment method with the ID {chosen}."
            " The payment method must be attached to the customer.",
            "resource_missing",
            "payment_method",
        )
    return card


def _in_status(account: Account, invoice_id: str, done: str, *allowed: str) -> Object:
    invoice = account.in_path("invoice", invoice_id, "invoice")
    if invoice["status"] not in allowed:
        raise not_possible(f"An invoice that is {invoice['status']} can't be {done}.")
    return invoice


def _set(account: Account, invoice: Object, status: str, at: str) -> None:
    invoice |= {"auto_advance": False, "next_payment_attempt": None, "status": status}
    invoice["status_transitions"] = {**invoice["status_transitions"], at: account.now()}
    account.save(invoice)


def _set_paid(account: Account, invoice: Object, *, out_of_band: bool = False) -> None:
    before = invoices.retrieve(account, invoice["id"], {})
    invoice |= {"amount_paid": invoice["amount_due"], "amount_remaining": 0, "attempted": True}
    if out_of_band:
        invoice["amount_paid_off_stripe"] = invoice["amount_due"]
    _set(account, invoice, "paid", "paid_at")
    _set_delinquent(account, invoice, False)
    paid = invoices.shown(account, invoice)
    account.emit("invoice.updated", paid, before)
    account.emit("invoice.paid", paid)
    account.emit("invoice.payment_succeeded", paid)


def _set_failed(account: Account, invoice: Object) -> None:
    before = invoices.retrieve(account, invoice["id"], {})
    account.save(invoice)
    _set_delinquent(account, invoice, True)
    failed = invoices.shown(account, invoice)
    account.emit("invoice.updated", failed, before)
    account.emit("invoice.payment_failed", failed)


def _set_delinquent(account: Account, invoice: Object, delinquent: bool) -> None:
    before = account.find("customer", invoice["customer"])
    if before is not None and not before.get("deleted") and before["delinquent"] != delinquent:
        customer = {**before, "delinquent": delinquent}
        account.save(customer)
        account.emit("customer.updated", customer, before)
