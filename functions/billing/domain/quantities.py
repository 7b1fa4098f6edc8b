"""Quantities of usage: exact decimals with six places, held as integers in micro-units."""

from functions.billing.domain import decimals

PLACES = 6
MICRO = 1_000_000
MAX_UNITS = 10**7


class BadQuantity(Exception):
    """Not a whole number or a plain decimal text above 0, at most `MAX_UNITS`, with at most six places."""


def micro(quantity: int | str) -> int:
    """A quantity from outside in micro-units. Raises `BadQuantity`; a bool or a float is none either."""
    if type(quantity) is int:
        value = quantity * MICRO
    elif type(quantity) is str:
        try:
            value = decimals.scaled(quantity, PLACES, max_digits=8)
        except ValueError as wrong:
            raise BadQuantity(str(wrong)) from None
    else:
        raise BadQuantity("neither an integer nor a text")
    if not 0 < value <= MAX_UNITS * MICRO:
        raise BadQuantity(f"not above 0 and at most {MAX_UNITS}")
    return value


def text(quantity_micro: int) -> str:
    """Micro-units as an exact decimal text in units."""
    return decimals.plain(quantity_micro, PLACES)
