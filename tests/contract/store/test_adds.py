"""`Add`: counters that need no read."""

from typing import Any

import pytest

from shared.store import Add, Body, OutOfRange, Scope, Store
from tests.contract.store.harness import marker

pytestmark = pytest.mark.anyio

MAX = 2**63 - 1
MIN = -(2**63)


async def add(store: Store, scope: Scope, amounts: dict[str, int], fields: Body | None = None) -> None:
    await store.commit(Add(scope.key("things", "x"), amounts, fields or {}), marker(store))


async def body(scope: Scope) -> Body | None:
    doc = await scope.get("things", "x")
    return None if doc is None else doc.body


async def test_it_makes_the_document_and_the_fields_that_are_missing(store: Store, scope: Scope) -> None:
    await add(store, scope, {"n": 5})
    await add(store, scope, {"m": 2, "n": 1}, {"meter": "calls"})
    assert await body(scope) == {"n": 6, "m": 2, "meter": "calls"}


async def test_it_sets_fields_without_adding_to_them(store: Store, scope: Scope) -> None:
    await add(store, scope, {"n": 1}, {"day": 3, "label": "a"})
    await add(store, scope, {"n": 1}, {"day": 3, "label": "b"})
    assert await body(scope) == {"n": 2, "day": 3, "label": "b"}


async def test_negative_amounts_and_nothing_at_all_count_too(store: Store, scope: Scope) -> None:
    await add(store, scope, {"n": -5, "zero": 0})
    await add(store, scope, {"n": 2})
    await add(store, scope, {})
    assert await body(scope) == {"n": -3, "zero": 0}


@pytest.mark.parametrize("present", ["7", True, None, [1], {"a": 1}])
async def test_what_is_no_integer_counts_as_zero(store: Store, scope: Scope, present: Any) -> None:
    await add(store, scope, {}, {"n": present})
    await add(store, scope, {"n": 2})
    found = await body(scope)
    assert found == {"n": 2}
    assert type(found["n"]) is int


@pytest.mark.parametrize(("start", "amount"), [(MAX, 1), (1, MAX), (MIN, -1), (-1, MIN)])
async def test_leaving_64_bits_is_refused_and_nothing_is_counted(
    store: Store, scope: Scope, start: int, amount: int
) -> None:
    await add(store, scope, {"n": start})
    with pytest.raises(OutOfRange):
        await add(store, scope, {"other": 1, "n": amount}, {"label": "x"})
    assert await body(scope) == {"n": start}
    await add(store, scope, {"n": 0})
    await add(store, scope, {"n": -1 if start > 0 else 1})
    assert await body(scope) == {"n": start - 1 if start > 0 else start + 1}


async def test_the_whole_range_of_64_bits_can_be_counted_through(store: Store, scope: Scope) -> None:
    await add(store, scope, {"n": MIN})
    await add(store, scope, {"n": MAX})
    assert await body(scope) == {"n": -1}
    await add(store, scope, {"n": MAX})
    await add(store, scope, {"n": 1})
    assert await body(scope) == {"n": MAX}


@pytest.mark.parametrize("amount", [True, 1.0, "1", None, 2**63])
async def test_an_amount_that_is_no_64_bit_integer_is_refused(
    store: Store, scope: Scope, amount: Any
) -> None:
    with pytest.raises(ValueError, match="n"):
        await add(store, scope, {"n": amount})
    assert await body(scope) is None


async def test_a_field_cannot_be_added_to_and_set_at_once(store: Store, scope: Scope) -> None:
    with pytest.raises(ValueError, match="both"):
        await add(store, scope, {"n": 1}, {"n": 2})
    assert await body(scope) is None
