"""Currencies, and the amounts that can be charged in them (https://docs.stripe.com/currencies)."""

import re

from local.stripe.errors import bad_parameter

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

_CURRENCY = re.compile(r"[a-z]{3}")


def check_currency(currency: str) -> None:
    """Raises `ApiError` for what is no three-letter code in lower case."""
    if not _CURRENCY.fullmatch(currency):
        raise bad_parameter(
            f"Invalid currency: {currency}. Use a three-letter code in lower case.", "currency"
        )


def smallest_charge(currency: str) -> int:
    """Amounts below it are not charged but carried over to the customer's next invoice."""
    return MIN_CHARGES.get(currency, MIN_CHARGE)
