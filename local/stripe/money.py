"""Currencies, and the amounts that can be charged in them (https://docs.stripe.com/currencies)."""

import re

from local.stripe.errors import bad_parameter, not_possible

MAX_CHARGE = 99_999_999
MIN_CHARGE = 50
MIN_CHARGES = {
    "aed": 200,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1000,
}
"""Where it is not 50 of the smallest unit."""

THREE_DECIMALS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
# fmt: off
NO_DECIMALS = frozenset([
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
])
# fmt: on
STEPS = {**dict.fromkeys(THREE_DECIMALS, 10), "isk": 100, "ugx": 100}
"""What is charged in these is a multiple of so many of the smallest unit."""

_CURRENCY = re.compile(r"[a-z]{3}")


def check_currency(currency: str) -> None:
    """Raises `ApiError` for what is no three-letter code in lower case."""
    if not _CURRENCY.fullmatch(currency):
        raise bad_parameter(
            f"Invalid currency: {currency}. Use a three-letter code in lower case.", "currency"
        )


def check_chargeable(amount: int, currency: str) -> None:
    """Raises `ApiError` for an amount that no card can be charged with."""
    if amount > MAX_CHARGE:
        raise not_possible(f"Amount must be no more than {MAX_CHARGE}.", "amount_too_large")
    step = STEPS.get(currency, 1)
    if amount % step:
        raise not_possible(
            f"Amounts in {currency} must be multiples of {step}: {amount} is none.", "invalid_charge_amount"
        )


def shown(amount: int, currency: str) -> str:
    """For people, like `12.50 USD`."""
    decimals = 3 if currency in THREE_DECIMALS else 0 if currency in NO_DECIMALS else 2
    units, rest = divmod(abs(amount), 10**decimals)
    fraction = f".{rest:0{decimals}}" if decimals else ""
    return f"{'-' * (amount < 0)}{units}{fraction} {currency.upper()}"


def smallest_charge(currency: str) -> int:
    """Amounts below it are not charged but carried over to the customer's next invoice."""
    return MIN_CHARGES.get(currency, MIN_CHARGE)
