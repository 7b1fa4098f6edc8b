"""How an invoice is paid: its payment intent, the charges made for it, and the link between them."""

from typing import Any

from local.stripe import cards, listing
from local.stripe.account import Account, random_text
from local.stripe.cards import Decline
from local.stripe.storage import Object

LISTED_BY = frozenset(["ending_before", "expand", "invoice", "limit", "payment", "starting_after", "status"])
INTENTS_LISTED_BY = frozenset(["created", "customer", "ending_before", "expand", "limit", "starting_after"])
ON_CHARGE = (
    "brand",
    "checks",
    "country",
    "exp_month",
    "exp_year",
    "fingerprint",
    "funding",
    "last4",
    "wallet",
)
"""Fields of a card that its charge repeats."""
CHARGES_LISTED_BY = INTENTS_LISTED_BY | {"payment_intent"}

# fmt: off
_NULL_OF_INTENT = (
    "amount_details", "application", "application_fee_amount", "automatic_payment_methods", "canceled_at",
    "cancellation_reason", "customer_account", "last_payment_error", "latest_charge", "next_action",
    "on_behalf_of", "payment_method", "processing", "receipt_email", "review", "setup_future_usage",
    "shipping", "source", "statement_descriptor", "statement_descriptor_suffix", "transfer_data",
    "transfer_group",
)
_NULL_OF_CHARGE = (
    "application", "application_fee", "application_fee_amount",
    "failure_balance_transaction", "on_behalf_of", "receipt_email", "receipt_number", "receipt_url",
    "review", "shipping", "source", "source_transfer", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_data", "transfer_group",
)
# fmt: on


def request(account: Account, invoice: Object) -> None:
    """The payment intent of an invoice that has just been finalised."""
    intent = account.new("payment_intent", "pi", _intent(account, invoice))
    intent["client_secret"] = f"{intent['id']}_secret_{random_text(25)}"
    account.save(intent)
    link = {
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": account.now(),
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    account.save(account.new("invoice_payment", "inpay", link))
    account.emit("payment_intent.created", intent)


def charge(account: Account, invoice: Object, card: Object) -> tuple[Object, Decline | None]:
    """Tries to charge what is owed; the payment intent and, where the card is refused, why."""
    link, intent = _open(account, invoice)
    decline = cards.decline_of(card)
    made = account.new("charge", "ch", _charge(account, intent, card, decline))
    account.save(made)
    intent |= {"latest_charge": made["id"], "payment_method": card["id"]}
    if decline is None:
        intent |= {"amount_received": intent["amount"], "last_payment_error": None, "status": "succeeded"}
    else:
        error = cards.declined(decline, charge=made["id"], payment_method=card).body["error"]
        intent |= {
            "last_payment_error": error,
            "payment_method": None,
            "status": "requires_action"
            if decline.code == "authentication_required"
            else "requires_payment_method",
        }
    account.save(intent)
    account.emit("charge.succeeded" if decline is None else "charge.failed", made)
    account.emit(f"payment_intent.{'succeeded' if decline is None else 'payment_failed'}", intent)
    if decline is None:
        _settle(account, link, "paid")
    return intent, decline


def cancel(account: Account, invoice: Object, reason: str) -> None:
    """The invoice is void or paid in another way, so nobody is to be charged for it."""
    if of_invoice(account, invoice["id"]):
        link, intent = _open(account, invoice)
        intent |= {"canceled_at": account.now(), "cancellation_reason": reason, "status": "canceled"}
        account.save(intent)
        account.emit("payment_intent.canceled", intent)
        _settle(account, link, "canceled")


def of_invoice(account: Account, invoice_id: str) -> list[Object]:
    """The invoice payments of an invoice: one as soon as something is owed."""
    return account.storage.of_kind("invoice_payment", {"$.invoice": invoice_id})


def retrieve(account: Account, payment_id: str, params: dict[str, Any]) -> Object:
    return account.in_path("invoice_payment", payment_id, "invoice_payment")


def every(account: Account, params: dict[str, Any]) -> Object:
    """Newest first."""
    wanted = params.get("payment", {})
    where = {
        **{f"$.{name}": params[name] for name in ("invoice", "status") if name in params},
        **{f"$.payment.{name}": value for name, value in wanted.items()},
    }
    found = account.storage.of_kind("invoice_payment", where)
    return listing.page(reversed(found), params, "/v1/invoice_payments")


def retrieve_intent(account: Account, intent_id: str, params: dict[str, Any]) -> Object:
    return account.in_path("payment_intent", intent_id, "intent")


def every_intent(account: Account, params: dict[str, Any]) -> Object:
    return _every(account, "payment_intent", ("customer",), params)


def retrieve_charge(account: Account, charge_id: str, params: dict[str, Any]) -> Object:
    return account.in_path("charge", charge_id, "charge")


def every_charge(account: Account, params: dict[str, Any]) -> Object:
    return _every(account, "charge", ("customer", "payment_intent"), params)


def _every(account: Account, kind: str, names: tuple[str, ...], params: dict[str, Any]) -> Object:
    where = {f"$.{name}": params[name] for name in names if name in params}
    created = listing.in_range(params.get("created"))
    found = [item for item in reversed(account.storage.of_kind(kind, where)) if created(item["created"])]
    return listing.page(found, params, f"/v1/{kind}s")


def _open(account: Account, invoice: Object) -> tuple[Object, Object]:
    link = of_invoice(account, invoice["id"])[0]
    intent = account.storage.get(link["payment"]["payment_intent"])
    if intent is None:
        raise LookupError(f"{link['id']} has no payment intent")
    return link, intent


def _settle(account: Account, link: Object, status: str) -> None:
    link["status"] = status
    link["status_transitions"] = {**link["status_transitions"], f"{status}_at": account.now()}
    if status == "paid":
        link["amount_paid"] = link["amount_requested"]
        account.emit("invoice_payment.paid", link)
    account.save(link)


def _intent(account: Account, invoice: Object) -> Object:
    return {
        **dict.fromkeys(_NULL_OF_INTENT),
        "amount": invoice["amount_due"],
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic",
        "confirmation_method": "automatic",
        "created": account.now(),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": "Payment for Invoice",
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    }


def _charge(account: Account, intent: Object, card: Object, decline: Decline | None) -> Object:
    good = decline is None
    charged = {name: card["card"][name] for name in ON_CHARGE} | {"network": card["card"]["brand"]}
    return {
        **dict.fromkeys(_NULL_OF_CHARGE),
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if good else 0,
        "amount_refunded": 0,
        "balance_transaction": f"txn_{random_text(24)}" if good else None,
        "billing_details": card["billing_details"],
        "calculated_statement_descriptor": "LOCAL STAND-IN",
        "captured": good,
        "created": account.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": None if decline is None else decline.code,
        "failure_message": None if decline is None else decline.message,
        "fraud_details": {},
        "metadata": {},
        "outcome": _outcome(decline),
        "paid": good,
        "payment_intent": intent["id"],
        "payment_method": card["id"],
        "payment_method_details": {"card": charged, "type": "card"},
        "refunded": False,
        "status": "succeeded" if good else "failed",
    }


def _outcome(decline: Decline | None) -> Object:
    good = decline is None
    return {
        "network_status": "approved_by_network" if good else "declined_by_network",
        "reason": None if decline is None else decline.decline_code,
        "risk_level": "normal",
        "seller_message": "Payment complete." if good else "The bank declined the payment.",
        "type": "authorized" if good else "issuer_declined",
    }
