"""Invoices: made as drafts, changed, read and deleted. What becomes of them is in `invoice_states`."""

from typing import Any

from local.stripe import cards, invoice_items, listing
from local.stripe.account import ACCOUNT_NAME, COUNTRY, Account, merged_metadata
from local.stripe.errors import bad_parameter, not_possible
from local.stripe.money import check_currency
from local.stripe.storage import Object

SECONDS_A_DAY = 86_400
# fmt: off
KEPT = frozenset([
    "auto_advance", "collection_method", "default_payment_method", "description", "due_date", "effective_at",
    "footer", "number", "statement_descriptor",
])
# fmt: on
"""Parameters that become fields as they are."""
UPDATED_WITH = KEPT | {"custom_fields", "days_until_due", "expand", "metadata", "payment_settings"}
CREATED_WITH = UPDATED_WITH | {"currency", "customer", "pending_invoice_items_behavior"}
AFTER_FINALIZATION = frozenset(
    ["auto_advance", "default_payment_method", "expand", "metadata", "payment_settings"]
)
LINES_LISTED_BY = frozenset(["ending_before", "expand", "limit", "starting_after"])
LISTED_BY = LINES_LISTED_BY | {"collection_method", "created", "customer", "due_date", "status"}

# fmt: off
_NULL = (
    "account_tax_ids", "application", "automatically_finalizes_at", "custom_fields", "customer_account",
    "customer_tax_ids", "default_payment_method", "default_source", "description", "due_date", "effective_at",
    "ending_balance", "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf",
    "last_finalization_error", "latest_revision", "next_payment_attempt", "number", "on_behalf_of",
    "parent", "receipt_number", "rendering", "shipping_cost", "shipping_details", "statement_descriptor",
    "status_details", "test_clock", "threshold_reason",
)
_ZERO = (
    "amount_due", "amount_overpaid", "amount_paid", "amount_paid_off_stripe", "amount_remaining",
    "amount_shipping", "attempt_count", "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount",
    "starting_balance",
)
# fmt: on
_OF_CUSTOMER = ("address", "email", "name", "phone", "shipping", "tax_exempt")


def create(account: Account, params: dict[str, Any]) -> Object:
    """A draft without lines, unless pending items are to be included."""
    customer = account.named("customer", params, "customer")
    currency = params.get("currency") or customer["currency"] or "usd"
    check_currency(currency)
    now = account.now()
    fields = {
        **dict.fromkeys(_NULL),
        **dict.fromkeys(_ZERO, 0),
        "account_country": COUNTRY,
        "account_name": ACCOUNT_NAME,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": dict.fromkeys(["disabled_reason", "liability", "provider", "status"])
        | {"enabled": False},
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "metadata": {},
        "payment_settings": dict.fromkeys(
            ["default_mandate", "payment_method_options", "payment_method_types"]
        ),
        "period_end": now,
        "period_start": now,
        "status": "draft",
        "status_transitions": dict.fromkeys(
            ["finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"]
        ),
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }
    invoice = account.new("invoice", "in", fields)
    _change(account, invoice, params)
    account.save(invoice)
    if customer["currency"] is None:
        account.save({**customer, "currency": currency})
    if params.get("pending_invoice_items_behavior") == "include":
        invoice_items.include_pending(account, invoice)
    account.emit("invoice.created", shown(account, invoice))
    return shown(account, invoice)


def retrieve(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    return shown(account, account.in_path("invoice", invoice_id, "invoice"))


def update(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """Of a finalised invoice, only what does not change what is owed."""
    before = account.in_path("invoice", invoice_id, "invoice")
    late = sorted(params.keys() - AFTER_FINALIZATION)
    if before["status"] != "draft" and late:
        raise not_possible(
            f"Finalized invoices can't be updated in this way: {', '.join(late)}.",
            "invoice_not_editable",
            late[0],
        )
    invoice = {**before}
    _change(account, invoice, params)
    if invoice != before:
        account.save(invoice)
        account.emit("invoice.updated", shown(account, invoice), shown(account, before))
    return shown(account, invoice)


def delete(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """A draft, with its items."""
    invoice = account.in_path("invoice", invoice_id, "invoice")
    if invoice["status"] != "draft":
        raise not_possible("You can only delete draft invoices.", "invoice_not_editable")
    last = shown(account, invoice)
    for item in invoice_items.of_invoice(account, invoice_id):
        account.storage.delete(item["id"])
    account.storage.delete(invoice_id)
    account.emit("invoice.deleted", last)
    return {"id": invoice_id, "object": "invoice", "deleted": True}


def every(account: Account, params: dict[str, Any]) -> Object:
    """Newest first."""
    names = ("collection_method", "customer", "status")
    where = {f"$.{name}": params[name] for name in names if name in params}
    created, due = listing.in_range(params.get("created")), listing.in_range(params.get("due_date"))
    found = [
        invoice
        for invoice in reversed(account.storage.of_kind("invoice", where))
        if created(invoice["created"]) and ("due_date" not in params or due(invoice["due_date"] or -1))
    ]
    page = listing.page(found, params, "/v1/invoices")
    return {**page, "data": [shown(account, invoice) for invoice in page["data"]]}


def lines(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    """Its lines, in the order in which they were added."""
    account.in_path("invoice", invoice_id, "invoice")
    return _lines(account, invoice_id, params)


def shown(account: Account, invoice: Object) -> Object:
    """As it is answered: with its first ten lines; a draft with its totals and its customer as of now."""
    whole = {**invoice, "lines": _lines(account, invoice["id"], {})}
    if invoice["status"] == "draft":
        whole |= totals(account, invoice) | of_customer(account, invoice)
    if invoice["hosted_invoice_url"] is not None:
        whole["hosted_invoice_url"] = account.base_url + invoice["hosted_invoice_url"]
    return whole


def totals(account: Account, invoice: Object) -> dict[str, int]:
    """What a draft comes to; what is owed takes the customer's balance into account, below 0 is credit."""
    total = sum(item["amount"] for item in invoice_items.of_invoice(account, invoice["id"]))
    customer = account.find("customer", invoice["customer"]) or {}
    balance = customer.get("balance", 0)
    due = max(total + balance, 0)
    return {
        "amount_due": due,
        "amount_remaining": due,
        "starting_balance": balance,
        **dict.fromkeys(["subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"], total),
    }


def of_customer(account: Account, invoice: Object) -> dict[str, Any]:
    """The customer's fields that an invoice repeats."""
    customer = account.find("customer", invoice["customer"]) or {}
    return {f"customer_{name}": customer.get(name) for name in _OF_CUSTOMER}


def _lines(account: Account, invoice_id: str, params: dict[str, Any]) -> Object:
    items = invoice_items.of_invoice(account, invoice_id)
    page = listing.page(map(invoice_items.line, items), params, f"/v1/invoices/{invoice_id}/lines")
    return {**page, "total_count": len(items)}


def _change(account: Account, invoice: Object, params: dict[str, Any]) -> None:
    invoice.update({name: params[name] for name in KEPT if name in params})
    invoice["metadata"] = merged_metadata(invoice, params.get("metadata"))
    invoice["custom_fields"] = params.get("custom_fields", invoice["custom_fields"]) or None
    invoice["payment_settings"] = {**invoice["payment_settings"], **params.get("payment_settings", {})}
    if "default_payment_method" in params:
        _check_card(account, invoice, params["default_payment_method"])
    _set_due_date(account, invoice, params)
    if not invoice["auto_advance"] or invoice["status"] != "draft":
        invoice["automatically_finalizes_at"] = None
    elif invoice["automatically_finalizes_at"] is None:
        invoice["automatically_finalizes_at"] = account.now() + account.advance_seconds


def _check_card(account: Account, invoice: Object, card_id: str) -> None:
    card = cards.usable(account, card_id, "default_payment_method")
    if card["customer"] != invoice["customer"]:
        raise not_possible(
            f"The customer does not have a payment method with the ID {card_id}."
            " The payment method must be attached to the customer.",
            "resource_missing",
            "default_payment_method",
        )


def _set_due_date(account: Account, invoice: Object, params: dict[str, Any]) -> None:
    """Invoices that are sent have one, those that are charged have none."""
    given = [name for name in ("due_date", "days_until_due") if name in params]
    if invoice["collection_method"] == "charge_automatically":
        if given:
            raise bad_parameter(
                "due_date and days_until_due can only be set where collection_method is send_invoice.",
                given[0],
            )
        return
    if len(given) > 1:
        raise bad_parameter(
            "You may only specify one of these parameters: due_date, days_until_due.",
            code="parameters_exclusive",
        )
    if "days_until_due" in params:
        invoice["due_date"] = account.now() + params["days_until_due"] * SECONDS_A_DAY
    if invoice["due_date"] is None:
        raise bad_parameter(
            "Where collection_method is send_invoice, you must pass either due_date or days_until_due.",
            "days_until_due",
            "parameter_missing",
        )
