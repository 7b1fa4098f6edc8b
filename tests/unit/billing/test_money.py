"""Quantities, money and their rounding: exact, in integers."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.billing.domain import decimals, money, quantities
from functions.billing.domain.quantities import BadQuantity

MICRO = st.integers(1, quantities.MAX_UNITS * quantities.MICRO)
NANO = st.integers(0, 10**15)


@pytest.mark.parametrize(
    ("quantity", "micro"),
    [
        (1, 1_000_000),
        (10_000_000, 10**13),
        ("1", 1_000_000),
        ("0.000001", 1),
        ("12.50", 12_500_000),
        ("10000000.000000", 10**13),
    ],
)
def test_integers_and_plain_decimals_are_quantities(quantity: int | str, micro: int) -> None:
    assert quantities.micro(quantity) == micro


@pytest.mark.parametrize(
    "quantity",
    [
        *(0, -1, 10_000_001, 2**53 + 1, 2**63, 10**4000, True, False, 1.0, float("nan"), None, b"1"),
        *("", "0", "0.0", "-1", "+5", " 5", "5 ", "5\n", "5e3", "5E3", "NaN", "Infinity", "1_000", "1,5"),
        *(".5", "5.", "05", "00", "0x5", "٥", "１", "1.0000000", "10000000.000001", "1" * 5000, "1.2.3"),
    ],
    ids=lambda quantity: repr(quantity)[:20],
)
def test_nothing_else_is_a_quantity(quantity: object) -> None:
    """B1, B2"""
    with pytest.raises(BadQuantity):
        quantities.micro(quantity)  # type: ignore[arg-type]


@given(MICRO)
def test_a_quantity_is_the_same_after_being_written_and_read(micro: int) -> None:
    assert quantities.micro(quantities.text(micro)) == micro
    assert Decimal(quantities.text(micro)) * 10**6 == micro


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1, "0.000001"), (-1, "-0.000001"), (1_500_000, "1.5"), (10**6, "1")]
)
def test_decimals_are_written_without_trailing_zeros(value: int, text: str) -> None:
    assert decimals.plain(value, 6) == text


@pytest.mark.parametrize(
    ("numerator", "denominator", "nearest"),
    [(1, 2, 1), (-1, 2, -1), (3, 2, 2), (5, 2, 3), (-5, 2, -3), (49, 100, 0), (-49, 100, 0), (0, 7, 0)],
)
def test_halves_are_rounded_away_from_zero(numerator: int, denominator: int, nearest: int) -> None:
    """B4"""
    assert decimals.rounded(numerator, denominator) == nearest


@given(st.integers(), st.integers(1, 10**20))
def test_rounding_goes_to_the_nearest_integer(numerator: int, denominator: int) -> None:
    """B4"""
    error = decimals.rounded(numerator, denominator) - Fraction(numerator, denominator)
    assert abs(error) <= Fraction(1, 2)
    assert abs(error) < Fraction(1, 2) or (error > 0) == (numerator > 0)


@pytest.mark.parametrize(
    ("currency", "quantity", "price", "amount", "text"),
    [
        ("USD", "1", "0.005", 1, "USD 0.01"),
        ("USD", "1", "0.004999999", 0, "USD 0.00"),
        ("USD", "1200.5", "0.015", 1801, "USD 18.01"),
        ("EUR", "3", "10.333333", 3100, "EUR 31.00"),
        ("JPY", "1", "0.5", 1, "JPY 1"),
        ("JPY", "2.5", "1", 3, "JPY 3"),
        ("JPY", "1250", "1", 1250, "JPY 1250"),
        ("KWD", "1", "0.0005", 1, "KWD 0.001"),
        ("KWD", "1.25", "1", 1250, "KWD 1.250"),
        ("KWD", "0.0015", "1", 2, "KWD 0.002"),
    ],
)
def test_a_price_is_rounded_to_the_currency_s_minor_unit(
    currency: str, quantity: str, price: str, amount: int, text: str
) -> None:
    """B4"""
    found = money.price_minor(quantities.micro(quantity), money.unit_price_nano(price), currency)
    assert (found, money.text(found, currency)) == (amount, text)


@given(MICRO, NANO, st.sampled_from(["USD", "JPY", "KWD"]))
def test_a_price_is_what_exact_decimals_give(micro: int, nano: int, currency: str) -> None:
    """B4"""
    with localcontext(prec=60):
        exact = Decimal(micro).scaleb(-6) * Decimal(nano).scaleb(-9 + money.EXPONENTS[currency])
        assert money.price_minor(micro, nano, currency) == exact.quantize(Decimal(1), ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (-5, "USD", "USD -0.05"),
        (-1250, "KWD", "KWD -1.250"),
        (-7, "JPY", "JPY -7"),
        (99_00, "USD", "USD 99.00"),
    ],
)
def test_amounts_are_written_with_the_currency_s_places(amount: int, currency: str, text: str) -> None:
    assert money.text(amount, currency) == text


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_a_fee_is_one_times_its_unit_price(currency: str) -> None:
    nano = money.fee_price_nano(12_345, currency)
    assert money.price_minor(quantities.MICRO, nano, currency) == 12_345


@pytest.mark.parametrize("price", ["0.0000000001", "-1", "1e-3", ""])
def test_a_price_is_a_plain_decimal_with_at_most_nine_places(price: str) -> None:
    with pytest.raises(ValueError, match=r"decimal"):
        money.unit_price_nano(price)
