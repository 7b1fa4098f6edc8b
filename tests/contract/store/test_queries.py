"""Declared queries: equality, range, order, limit and cursor, each value compared within its type."""

import random
from typing import Any

import pytest

from shared.store import Body, Create, Delete, Query, Replace, Scope, Store
from tests.contract.store.harness import (
    BY_FLAG,
    BY_ID,
    BY_STATUS,
    BY_TWO,
    NEWEST,
    OLDEST,
    UNDECLARED,
    Harness,
    fill,
    marker,
    names,
)

pytestmark = pytest.mark.anyio


async def test_a_query_without_order_goes_by_id(store: Store, scope: Scope) -> None:
    await fill(store, scope, {name: {} for name in ("b", "a10", "a1", "c", "B")})
    assert await names(scope, BY_ID) == ["B", "a1", "a10", "b", "c"]


async def test_results_come_by_order_field_and_ties_by_id_in_both_directions(
    store: Store, scope: Scope
) -> None:
    await fill(
        store, scope, {name: {"at": at} for name, at in (("d", 1), ("a", 2), ("c", 1), ("b", 2), ("e", 0))}
    )
    assert await names(scope, OLDEST) == ["e", "c", "d", "a", "b"]
    assert await names(scope, NEWEST) == ["b", "a", "d", "c", "e"]
    for limit in (1, 2, 3, 4, 5, 6):
        assert await names(scope, OLDEST, limit=limit) == ["e", "c", "d", "a", "b"]
        assert await names(scope, NEWEST, limit=limit) == ["b", "a", "d", "c", "e"]


async def test_equal_fields_must_all_be_equal(store: Store, scope: Scope) -> None:
    await fill(
        store,
        scope,
        {
            "a": {"status": "open", "flag": True, "at": 1},
            "b": {"status": "open", "flag": False, "at": 2},
            "c": {"status": "done", "flag": True, "at": 3},
            "d": {"status": "open", "flag": True, "at": 4},
            "e": {"status": "open", "at": 5},
        },
    )
    assert await names(scope, BY_TWO, equal={"status": "open", "flag": True}) == ["d", "a"]
    assert await names(scope, BY_STATUS, equal={"status": "open"}) == ["a", "b", "d", "e"]
    assert await names(scope, BY_STATUS, equal={"status": "none"}) == []


LOOKALIKES: dict[str, Any] = {
    "true": True,
    "one": 1,
    "text_one": "1",
    "text_true": "true",
    "false": False,
    "zero": 0,
    "empty": "",
    "null": None,
    "list": [1],
    "text_list": "[1]",
    "map": {"a": 1},
    "text_map": '{"a":1}',
    "nul": "1\0",
    "nul_more": "1\0more",
    "one_one": "1\x01",
    "upper": "TRUE",
    "max": 2**63 - 1,
    "max_1": 2**63 - 2,
    "min": -(2**63),
}


@pytest.mark.parametrize("name", [name for name, value in LOOKALIKES.items() if isinstance(value, str | int)])
async def test_a_value_equals_only_itself_whatever_looks_like_it(
    store: Store, scope: Scope, name: str
) -> None:
    await fill(store, scope, {key: {"flag": value} for key, value in LOOKALIKES.items()})
    assert await names(scope, BY_FLAG, equal={"flag": LOOKALIKES[name]}) == [name]


async def test_since_is_inclusive_and_until_exclusive(store: Store, scope: Scope) -> None:
    await fill(store, scope, {f"n{i}": {"at": i} for i in range(6)})
    assert await names(scope, OLDEST, since=2, until=4) == ["n2", "n3"]
    assert await names(scope, NEWEST, since=2, until=4) == ["n3", "n2"]
    assert await names(scope, OLDEST, since=4) == ["n4", "n5"]
    assert await names(scope, OLDEST, until=2) == ["n0", "n1"]
    assert await names(scope, OLDEST, since=4, until=2) == []
    assert await names(scope, NEWEST, since=1, until=5, limit=1) == ["n4", "n3", "n2", "n1"]


async def test_strings_are_ordered_by_their_bytes(store: Store, scope: Scope) -> None:
    texts = [
        "",
        "\0",
        "\0a",
        "\x01",
        "\x01\0",
        "\x02",
        "A",
        "Z",
        "a",
        "a\0",
        "a\x01",
        "a ",
        "ab",
        "é",
        "\uffff",
        "😀",
    ]
    shuffled = list(enumerate(texts))
    random.Random(1).shuffle(shuffled)
    await fill(store, scope, {f"n{i}": {"at": text} for i, text in shuffled})
    assert await names(scope, OLDEST, limit=3) == [f"n{i}" for i in range(len(texts))]
    for low in range(len(texts)):
        assert await names(scope, OLDEST, since=texts[low]) == [f"n{i}" for i in range(low, len(texts))]
        assert await names(scope, OLDEST, since="", until=texts[low]) == [f"n{i}" for i in range(low)]


MIXED: dict[str, Body] = {
    "int_min": {"at": -(2**63)},
    "int_5": {"at": 5},
    "int_max": {"at": 2**63 - 1},
    "text_": {"at": ""},
    "text_5": {"at": "5"},
    "bool": {"at": True},
    "null": {"at": None},
    "list": {"at": [1]},
    "map": {"at": {}},
    "missing": {"other": 1},
}


async def test_a_bound_finds_values_of_its_own_type_only(store: Store, scope: Scope) -> None:
    await fill(store, scope, MIXED)
    assert await names(scope, OLDEST, since=5) == ["int_5", "int_max"]
    assert await names(scope, OLDEST, until=5) == ["int_min"]
    assert await names(scope, OLDEST, since="") == ["text_", "text_5"]
    assert await names(scope, OLDEST, until="6") == ["text_", "text_5"]
    for limit in (1, 2):
        assert await names(scope, NEWEST, since=5, limit=limit) == ["int_max", "int_5"]
        assert await names(scope, NEWEST, until="6", limit=limit) == ["text_5", "text_"]


async def test_what_has_no_order_field_is_left_out_and_integers_come_before_strings(
    store: Store, scope: Scope
) -> None:
    await fill(store, scope, MIXED)
    for limit in (1, 2, 100):
        up = ["int_min", "int_5", "int_max", "text_", "text_5"]
        assert await names(scope, OLDEST, limit=limit) == up
        assert await names(scope, NEWEST, limit=limit) == up[::-1]


async def test_a_changed_or_deleted_document_is_found_as_it_is_now(store: Store, scope: Scope) -> None:
    await fill(store, scope, {name: {"status": "open", "at": 1} for name in "abc"})
    doc = await scope.get("things", "a")
    assert doc is not None
    await store.commit(
        Replace(doc.key, {"status": "done", "at": 9}, doc.version),
        Delete(scope.key("things", "b")),
        marker(store),
    )
    assert await names(scope, BY_STATUS, equal={"status": "open"}) == ["c"]
    assert await names(scope, BY_STATUS, equal={"status": "done"}) == ["a"]
    page = await scope.query(BY_STATUS, equal={"status": "done"})
    (found,) = await store.read(doc.key)
    assert page.docs == [found]


async def test_a_query_sees_its_own_collection_only(store: Store, scope: Scope) -> None:
    nested = scope.key("things", "a", "things", "inner")
    elsewhere = scope.key("boxes", "a", "things", "boxed")
    await fill(store, scope, {"a": {"at": 1}})
    await store.commit(Create(nested, {"at": 1}), Create(elsewhere, {"at": 1}))
    assert await names(scope, BY_ID) == ["a"]
    assert [doc.key for doc in (await scope.query(OLDEST, "things", "a")).docs] == [nested]
    assert [doc.key for doc in (await scope.query(OLDEST, "boxes", "a")).docs] == [elsewhere]


async def test_an_undeclared_query_is_refused(scope: Scope) -> None:
    renamed = Query("renamed", "things", ("status",), "at")
    for query, equal in ((UNDECLARED, {"at": 1}), (renamed, {"status": "open"})):
        with pytest.raises(ValueError, match=query.name):
            await scope.query(query, equal=equal)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"equal": {}},
        {"equal": {"status": "a", "flag": True}},
        {"equal": {"flag": True}},
        {"equal": {"status": None}},
        {"equal": {"status": 1.5}},
        {"equal": {"status": 2**63}},
        {"equal": {"status": "\ud800"}},
        {"equal": {"status": ["a"]}},
        {"equal": {"status": "a"}, "since": 1, "until": "2"},
        {"equal": {"status": "a"}, "since": 1.5},
        {"equal": {"status": "a"}, "since": True},
        {"equal": {"status": "a"}, "until": -(2**63) - 1},
        {"equal": {"status": "a"}, "until": "\udfff"},
        {"equal": {"status": "a"}, "limit": 0},
        {"equal": {"status": "a"}, "limit": 1001},
        {"equal": {"status": "a"}, "limit": -1},
    ],
)
async def test_a_query_that_is_asked_wrongly_is_refused(scope: Scope, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await scope.query(BY_STATUS, **how)


async def test_ids_are_walked_upwards_only(harness: Harness) -> None:
    """Firestore walks them in no other way."""
    with pytest.raises(ValueError, match="by_id_down"):
        harness.open([Query("by_id_down", "things", ("status",), descending=True)])


async def test_a_query_without_order_takes_no_bounds(scope: Scope) -> None:
    with pytest.raises(ValueError, match="order"):
        await scope.query(BY_ID, since="a")
    with pytest.raises(ValueError, match="pairs"):
        await scope.query(BY_ID, "things")
