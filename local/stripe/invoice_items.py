"""Invoice items, and the lines that they are on their invoice."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from local.stripe import listing
from local.stripe.account import Account, merged_metadata
from local.stripe.errors import bad_parameter, not_possible
from local.stripe.money import check_currency
from local.stripe.parameters import missing
from local.stripe.storage import Object

MAX_ITEMS = 250
MAX_AMOUNT = 10**12 - 1
PRICED = ("quantity", "quantity_decimal", "unit_amount_decimal")
CHANGED = frozenset(["amount", "description", "discountable", "expand", "metadata", "period", *PRICED])
CREATED_WITH = CHANGED | {"currency", "customer", "invoice"}
# fmt: off
ON_LINE = (
    "amount", "currency", "description", "discountable", "discounts", "invoice", "livemode", "metadata",
    "period", "pricing", "quantity", "quantity_decimal",
)
# fmt: on
"""Fields of an item that its line repeats."""
LISTED_BY = frozenset(
    ["created", "customer", "ending_before", "expand", "invoice", "limit", "pending", "starting_after"]
)


def create(account: Account, params: dict[str, Any]) -> Object:
    """On a draft invoice of the same customer and currency, or pending for the customer's next one."""
    customer = account.named("customer", params, "customer")
    invoice = _draft(account, params, customer) if "invoice" in params else None
    currency = params.get("currency") or (invoice or {}).get("currency") or customer["currency"]
    if currency is None:
        raise missing("currency")
    check_currency(currency)
    if invoice is not None and currency != invoice["currency"]:
        raise not_possible(
            f"The invoice item's currency ({currency}) is not that of its invoice ({invoice['currency']}).",
            param="currency",
        )
    now = account.now()
    fields = {
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "date": now,
        "description": params.get("description"),
        "discounts": [],
        "frozen_fields": None,
        "invoice": None if invoice is None else invoice["id"],
        "invoicing_rules": None,
        "metadata": merged_metadata({"metadata": {}}, params.get("metadata")),
        "parent": None,
        "period": _period(params, {"start": now, "end": now}),
        "proration": False,
        "proration_details": None,
        "tax_rates": [],
        "test_clock": None,
        **_price(params),
    }
    item = account.new("invoiceitem", "ii", fields)
    item["discountable"] = params.get("discountable", item["amount"] >= 0)
    account.save(item)
    account.emit("invoiceitem.created", item)
    return item


def retrieve(account: Account, item_id: str, params: dict[str, Any]) -> Object:
    return account.in_path("invoiceitem", item_id, "invoiceitem")


def update(account: Account, item_id: str, params: dict[str, Any]) -> Object:
    """While it is pending or on a draft."""
    before = account.in_path("invoiceitem", item_id, "invoiceitem")
    _check_editable(account, before)
    item = {**before}
    item.update({name: params[name] for name in ("description", "discountable") if name in params})
    if any(name in params for name in ("amount", *PRICED)):
        item.update(_price(params))
    item["period"] = _period(params, item["period"])
    item["metadata"] = merged_metadata(item, params.get("metadata"))
    account.save(item)
    return item


def delete(account: Account, item_id: str, params: dict[str, Any]) -> Object:
    """While it is pending or on a draft."""
    item = account.in_path("invoiceitem", item_id, "invoiceitem")
    _check_editable(account, item)
    account.storage.delete(item_id)
    account.emit("invoiceitem.deleted", item)
    return {"id": item_id, "object": "invoiceitem", "deleted": True}


def every(account: Account, params: dict[str, Any]) -> Object:
    """Newest first."""
    where = {f"$.{name}": params[name] for name in ("customer", "invoice") if name in params}
    created = listing.in_range(params.get("created"))
    pending = params.get("pending")
    found = [
        item
        for item in reversed(account.storage.of_kind("invoiceitem", where))
        if created(item["date"]) and pending in (None, item["invoice"] is None)
    ]
    return listing.page(found, params, "/v1/invoiceitems")


def of_invoice(account: Account, invoice_id: str) -> list[Object]:
    """In the order in which they were made."""
    return account.storage.of_kind("invoiceitem", {"$.invoice": invoice_id})


def include_pending(account: Account, invoice: Object) -> None:
    """Puts what waits for the customer's next invoice in this currency on it."""
    where = {"$.customer": invoice["customer"], "$.invoice": None, "$.currency": invoice["currency"]}
    for item in account.storage.of_kind("invoiceitem", where):
        account.save({**item, "invoice": invoice["id"]})


def line(item: Object) -> Object:
    """The line item on the invoice."""
    details = {
        "invoice_item": item["id"],
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": None,
    }
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    return {
        "id": "il_" + item["id"].removeprefix("ii_"),
        "object": "line_item",
        **{name: item[name] for name in ON_LINE},
        "discount_amounts": [],
        "parent": parent,
        "pretax_credit_amounts": [],
        "subscription": None,
        "subtotal": item["amount"],
        "taxes": [],
    }


def _draft(account: Account, params: dict[str, Any], customer: Object) -> Object:
    invoice = account.named("invoice", params, "invoice")
    if invoice["customer"] != customer["id"]:
        raise not_possible(
            f"The invoice {invoice['id']} does not belong to the customer {customer['id']}.", param="invoice"
        )
    _check_draft(invoice)
    if len(of_invoice(account, invoice["id"])) >= MAX_ITEMS:
        raise not_possible(f"You can add at most {MAX_ITEMS} items to an invoice.", param="invoice")
    return invoice


def _check_editable(account: Account, item: Object) -> None:
    if item["invoice"] is not None:
        _check_draft(account.in_path("invoice", item["invoice"], "invoice"))


def _check_draft(invoice: Object) -> None:
    if invoice["status"] != "draft":
        raise not_possible(
            f"The invoice {invoice['id']} is finalized, so its items can no longer be changed.",
            "invoice_not_editable",
            "invoice",
        )


def _period(params: dict[str, Any], otherwise: dict[str, int]) -> dict[str, int]:
    period: dict[str, int] = params.get("period", otherwise)
    if period["end"] < period["start"]:
        raise bad_parameter("The period's end must be at or after its start.", "period[end]")
    return period


def _price(params: dict[str, Any]) -> dict[str, Any]:
    """Either an amount, or a quantity of units at their price, rounded half up."""
    if "amount" in params:
        both = [name for name in PRICED if name in params]
        if both:
            raise bad_parameter(
                f"You may only specify one of these parameters: amount, {both[0]}.",
                both[0],
                "parameters_exclusive",
            )
        unit, quantity = Decimal(params["amount"]), Decimal(1)
    elif "unit_amount_decimal" in params:
        unit = params["unit_amount_decimal"]
        quantity = params.get("quantity_decimal", Decimal(params.get("quantity", 1)))
    else:
        raise missing("amount")
    if quantity < 0:
        raise bad_parameter("Invalid quantity: must not be negative", "quantity")
    amount = int((unit * quantity).to_integral_value(ROUND_HALF_UP))
    if abs(amount) > MAX_AMOUNT:
        raise bad_parameter(f"Amount must be no more than {MAX_AMOUNT}", "amount", "amount_too_large")
    return {
        "amount": amount,
        "net_amount": amount,
        "pricing": {
            "price_details": None,
            "type": "price_details",
            "unit_amount_decimal": format(unit.normalize(), "f"),
        },
        "quantity": int(quantity),
        "quantity_decimal": format(quantity.normalize(), "f"),
    }
