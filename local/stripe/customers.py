"""Customers."""

from typing import Any

from local.stripe import cards, listing
from local.stripe.account import Account, merged_metadata, random_text
from local.stripe.errors import not_possible
from local.stripe.storage import Object

TEXTS = ("business_name", "description", "email", "individual_name", "name", "phone", "tax_exempt")
WHOLE = ("balance", "preferred_locales", "shipping")
CREATED_WITH = frozenset(
    [*TEXTS, *WHOLE, "address", "expand", "invoice_settings", "metadata", "payment_method"]
)
UPDATED_WITH = CREATED_WITH - {"payment_method"}
LISTED_BY = frozenset(["created", "email", "ending_before", "expand", "limit", "starting_after"])

_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def create(account: Account, params: dict[str, Any]) -> Object:
    """A card given with it is attached; it becomes the default only where `invoice_settings` says so."""
    customer = account.new("customer", "cus", _new(account), length=14)
    card = None
    if "payment_method" in params:
        card = cards.attached(account, params["payment_method"], customer["id"])
    _change(account, customer, params)
    account.save(customer)
    account.emit("customer.created", customer)
    if card is not None:
        account.emit("payment_method.attached", card)
    return customer


def retrieve(account: Account, customer_id: str, params: dict[str, Any]) -> Object:
    """A deleted one is answered with its id and `deleted` only."""
    found = account.find("customer", customer_id)
    return found if found is not None else account.in_path("customer", customer_id, "id")


def update(account: Account, customer_id: str, params: dict[str, Any]) -> Object:
    before = account.in_path("customer", customer_id, "id")
    customer = {**before}
    _change(account, customer, params)
    if customer != before:
        account.save(customer)
        account.emit("customer.updated", customer, before)
    return customer


def delete(account: Account, customer_id: str, params: dict[str, Any]) -> Object:
    """For good; its invoices stay, but a draft can no longer be finalised."""
    customer = account.in_path("customer", customer_id, "id")
    gone = {"id": customer_id, "object": "customer", "deleted": True}
    account.save(gone)
    for card in cards.of_customer(account, customer_id):
        account.save({**card, "customer": None})
    account.emit("customer.deleted", customer)
    return gone


def every(account: Account, params: dict[str, Any]) -> Object:
    """Newest first."""
    created = listing.in_range(params.get("created"))
    where = {"$.email": params["email"]} if "email" in params else {}
    found = [
        customer
        for customer in reversed(account.storage.of_kind("customer", where))
        if not customer.get("deleted") and created(customer["created"])
    ]
    return listing.page(found, params, "/v1/customers")


def _new(account: Account) -> Object:
    return {
        "address": None,
        "balance": 0,
        "business_name": None,
        "created": account.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def _change(account: Account, customer: Object, params: dict[str, Any]) -> None:
    customer.update({name: params[name] or None for name in TEXTS if name in params})
    customer.update({name: params[name] or None for name in WHOLE if name in params})
    customer["balance"] = customer["balance"] or 0
    if "address" in params:
        given = params["address"]
        customer["address"] = {**dict.fromkeys(_ADDRESS), **given} if given else None
    customer["tax_exempt"] = customer["tax_exempt"] or "none"
    customer["metadata"] = merged_metadata(customer, params.get("metadata"))
    settings = params.get("invoice_settings", {})
    chosen = settings.get("default_payment_method")
    if chosen:
        card = cards.usable(account, chosen, "invoice_settings[default_payment_method]")
        if card["customer"] != customer["id"]:
            raise not_possible(
                f"The customer does not have a payment method with the ID {chosen}."
                " The payment method must be attached to the customer.",
                "resource_missing",
                "invoice_settings[default_payment_method]",
            )
    customer["invoice_settings"] = {
        **customer["invoice_settings"],
        **{name: value or None for name, value in settings.items()},
    }
