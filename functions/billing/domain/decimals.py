"""Exact decimals as scaled integers: text in, text out, and one way to round."""

import re

_PLAIN = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)


def scaled(text: str, places: int, max_digits: int = 18) -> int:
    """`"1.5"` at 6 places → 1500000. Plain notation only: no sign, exponent, space or leading zero.

    ValueError for anything else, for more places, or for more than `max_digits` before the point.
    """
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise ValueError("not a plain decimal number")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > places:
        raise ValueError(f"more than {places} decimal places")
    if len(whole) > max_digits:
        raise ValueError("too many digits")
    return int(whole + fraction.ljust(places, "0"))


def plain(value: int, places: int) -> str:
    """The inverse of `scaled`, without trailing zeros; negative values too."""
    whole, fraction = divmod(abs(value), 10**places)
    digits = str(fraction).rjust(places, "0").rstrip("0") if fraction else ""
    return f"{'-' if value < 0 else ''}{whole}{'.' if digits else ''}{digits}"


def rounded(numerator: int, denominator: int) -> int:
    """The nearest integer to the fraction, halves away from zero. `denominator` is above 0."""
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size
