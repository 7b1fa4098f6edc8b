"""Money: integers in minor units of a currency (ISO 4217), prices to a billionth of a major unit."""

from functions.billing.domain import decimals
from functions.billing.domain.quantities import MICRO

PRICE_PLACES = 9
NANO = 1_000_000_000

_TWO = (
    "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "INR", "MXN", "NOK",
    "NZD", "PLN", "RON", "SEK", "SGD", "TRY", "USD", "ZAR",
)  # fmt: skip
_NONE = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF",
    "XPF",
)  # fmt: skip
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
EXPONENTS = {currency: places for places, group in ((2, _TWO), (0, _NONE), (3, _THREE)) for currency in group}
"""Decimal places of each currency's minor unit; a currency that is not here cannot be billed in."""


def unit_price_nano(price: str) -> int:
    """A price in major units (`"0.00025"`) in billionths of the major unit. ValueError beyond nine places."""
    return decimals.scaled(price, PRICE_PLACES)


def price_minor(quantity_micro: int, price_nano: int, currency: str) -> int:
    """What the quantity costs, rounded once, halves away from zero."""
    return decimals.rounded(quantity_micro * price_nano * _minor_units(currency), MICRO * NANO)


def fee_price_nano(fee_minor: int, currency: str) -> int:
    """A fee in minor units as a unit price, so that every line is a quantity times a unit price."""
    return fee_minor * (NANO // _minor_units(currency))


def text(amount_minor: int, currency: str) -> str:
    """`USD 12.50`, `JPY 1250`, `KWD 1.250`, `USD -0.05`."""
    exponent = EXPONENTS[currency]
    whole, fraction = divmod(abs(amount_minor), _minor_units(currency))
    sign = "-" if amount_minor < 0 else ""
    point = f".{fraction:0{exponent}d}" if exponent else ""
    return f"{currency} {sign}{whole}{point}"


def price_text(price_nano: int) -> str:
    """A unit price as an exact decimal text in major units."""
    return decimals.plain(price_nano, PRICE_PLACES)


def _minor_units(currency: str) -> int:
    """How many minor units make a major one."""
    units: int = 10 ** EXPONENTS[currency]
    return units
