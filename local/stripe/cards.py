"""Cards as payment methods. Only Stripe's test tokens make one: https://docs.stripe.com/testing."""

from typing import Any

import msgspec

from local.stripe import listing
from local.stripe.account import Account, merged_metadata
from local.stripe.errors import CardDeclined, no_such, not_possible
from local.stripe.storage import Object

CREATED_WITH = frozenset(["billing_details", "card", "expand", "metadata", "type"])
UPDATED_WITH = frozenset(["billing_details", "expand", "metadata"])
ATTACHED_WITH = frozenset(["customer", "expand"])
LISTED_BY = frozenset(["customer", "ending_before", "expand", "limit", "starting_after", "type"])
LISTED_OF_CUSTOMER_BY = LISTED_BY - {"customer"}


class Decline(msgspec.Struct, frozen=True):
    """Why a card is refused; `when` it is charged only, or already when it is attached."""

    code: str
    decline_code: str
    message: str
    when: str = "attach"


class Brand(msgspec.Struct, frozen=True):
    name: str
    last4: str
    decline: Decline | None = None


_DECLINED = "Your card was declined."
BRANDS = {
    "visa": Brand("visa", "4242"),
    "visa_debit": Brand("visa", "5556"),
    "mastercard": Brand("mastercard", "4444"),
    "amex": Brand("amex", "8431"),
    "chargeCustomerFail": Brand(
        "visa", "0341", Decline("card_declined", "generic_decline", _DECLINED, "charge")
    ),
    "authenticationRequired": Brand(
        "visa",
        "3184",
        Decline(
            "authentication_required",
            "authentication_required",
            "Your card was declined. This transaction requires authentication.",
            "charge",
        ),
    ),
    "chargeDeclined": Brand("visa", "0002", Decline("card_declined", "generic_decline", _DECLINED)),
    "chargeDeclinedInsufficientFunds": Brand(
        "visa", "9995", Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
    ),
    "chargeDeclinedExpiredCard": Brand(
        "visa", "0069", Decline("expired_card", "expired_card", "Your card has expired.")
    ),
    "chargeDeclinedIncorrectCvc": Brand(
        "visa", "0127", Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
    ),
    "chargeDeclinedProcessingError": Brand(
        "visa",
        "0119",
        Decline("processing_error", "processing_error", "An error occurred while processing your card."),
    ),
}
"""What each test token stands for: `pm_card_…` and `tok_…` with these names."""


def create(account: Account, params: dict[str, Any]) -> Object:
    """From a token (`card[token]=tok_visa`); numbers are refused, as for accounts that may not see any."""
    if params.get("type") != "card" or set(params.get("card", {})) != {"token"}:
        raise not_possible(
            "Sending credit card numbers directly to the Stripe API is generally unsafe."
            " Use a test token: type=card and card[token]=tok_visa.",
            param="card",
        )
    card = _made(account, params["card"]["token"].removeprefix("tok_"), "card[token]")
    _describe(card, params)
    account.save(card)
    return card


def retrieve(account: Account, card_id: str, params: dict[str, Any]) -> Object:
    return account.in_path("payment_method", card_id, "payment_method")


def update(account: Account, card_id: str, params: dict[str, Any]) -> Object:
    """Only of an attached one."""
    before = account.in_path("payment_method", card_id, "payment_method")
    if before["customer"] is None:
        raise not_possible("You must save this PaymentMethod to a customer before you can update it.")
    card = {**before}
    _describe(card, params)
    account.save(card)
    account.emit("payment_method.updated", card, before)
    return card


def attach(account: Account, card_id: str, params: dict[str, Any]) -> Object:
    """A token makes a new card. Raises `ApiError`: 402 for a card that its bank refuses at once."""
    customer = account.named("customer", params, "customer")
    card = attached(account, card_id, customer["id"])
    account.emit("payment_method.attached", card)
    return card


def attached(account: Account, card_id: str, customer_id: str) -> Object:
    """The card, saved as the customer's."""
    card = usable(account, card_id, "payment_method", status=404)
    if card["customer"] not in (None, customer_id):
        raise not_possible("The payment method you provided has already been attached to a customer.")
    decline = decline_of(card)
    if decline is not None and decline.when == "attach":
        raise declined(decline)
    card["customer"] = customer_id
    account.save(card)
    return card


def detach(account: Account, card_id: str, params: dict[str, Any]) -> Object:
    """For good; the customer's default is unset with it."""
    before = account.in_path("payment_method", card_id, "payment_method")
    if before["customer"] is None:
        raise not_possible(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    customer = account.find("customer", before["customer"])
    if customer is not None and customer["invoice_settings"]["default_payment_method"] == card_id:
        settings = {**customer["invoice_settings"], "default_payment_method": None}
        account.save({**customer, "invoice_settings": settings})
    card = {**before, "customer": None}
    account.save(card)
    account.emit("payment_method.detached", card, before)
    return card


def every(account: Account, params: dict[str, Any]) -> Object:
    customer = account.named("customer", params, "customer")
    return _listed(of_customer(account, customer["id"]), params, "/v1/payment_methods")


def every_of_customer(account: Account, customer_id: str, params: dict[str, Any]) -> Object:
    account.in_path("customer", customer_id, "customer")
    url = f"/v1/customers/{customer_id}/payment_methods"
    return _listed(of_customer(account, customer_id), params, url)


def of_customer(account: Account, customer_id: str) -> list[Object]:
    """Oldest first."""
    return account.storage.of_kind("payment_method", {"$.customer": customer_id})


def usable(account: Account, card_id: str, param: str, *, status: int = 400) -> Object:
    """The card; a token gives a new one that is not saved. Raises `ApiError` for what is neither."""
    if card_id.startswith("pm_card_"):
        return _made(account, card_id.removeprefix("pm_card_"), param)
    found = account.find("payment_method", card_id)
    if found is None:
        raise no_such("PaymentMethod", card_id, param, status=status)
    return found


def decline_of(card: Object) -> Decline | None:
    """Why a charge of this card is refused; None for one that is good."""
    last4 = card["card"]["last4"]
    return next((brand.decline for brand in BRANDS.values() if brand.last4 == last4), None)


def declined(decline: Decline, **details: Any) -> CardDeclined:
    return CardDeclined(decline.code, decline.decline_code, decline.message, **details)


def _made(account: Account, token: str, param: str) -> Object:
    brand = BRANDS.get(token) or BRANDS.get(token.removeprefix("visa_"))
    if brand is None:
        raise no_such("PaymentMethod", f"pm_card_{token}", param)
    card = {
        "brand": brand.name,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": brand.name,
        "exp_month": 12,
        "exp_year": 2099,
        "fingerprint": f"standin{brand.last4}",
        "funding": "credit",
        "generated_from": None,
        "last4": brand.last4,
        "networks": {"available": [brand.name], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    details = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
    fields = {
        "allow_redisplay": "unspecified",
        "billing_details": details,
        "card": card,
        "created": account.now(),
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "type": "card",
    }
    return account.new("payment_method", "pm", fields)


def _describe(card: Object, params: dict[str, Any]) -> None:
    card["billing_details"] = {**card["billing_details"], **params.get("billing_details", {})}
    card["metadata"] = merged_metadata(card, params.get("metadata"))


def _listed(found: list[Object], params: dict[str, Any], url: str) -> Object:
    if params.get("type", "card") != "card":
        found = []
    return listing.page(reversed(found), params, url)
