"""Declared queries as Firestore's: where a walk begins and ends; the contract suite shows what it finds."""

from typing import Any

import pytest

from shared.store import Query
from shared.store.cursors import Position
from shared.store.firestore.queries import run_query_request

UP = Query("up", "things", ("status",), "at")
DOWN = Query("down", "things", ("status",), "at", descending=True)
BY_ID = Query("by_id", "things")
DOCUMENTS = "projects/p/databases/d/documents"


def request(query: Query, since: Any = None, until: Any = None, after: Position | None = None) -> Any:
    equal = dict.fromkeys(query.equal, "open")
    return run_query_request(DOCUMENTS, query, "tenants/t/things", equal, since, until, after, 11)


def ends(asked: Any) -> list[tuple[list[Any], bool]]:
    query = asked.structured_query
    return [
        ([getattr(value, value.WhichOneof("value_type")) for value in cursor.values], cursor.before)
        for cursor in (query.start_at, query.end_at)
    ]


def test_it_asks_one_collection_below_its_parent_and_no_more_than_it_needs() -> None:
    asked = request(UP)
    (selected,) = asked.structured_query.from_
    assert asked.parent == f"{DOCUMENTS}/tenants/t"
    assert (selected.collection_id, selected.all_descendants) == ("things", False)
    assert asked.structured_query.limit.value == 11
    root = run_query_request(DOCUMENTS, BY_ID, "tenants", {}, None, None, None, 1)
    assert root.parent == DOCUMENTS


def test_ties_go_by_name_in_the_direction_of_the_query() -> None:
    for query, direction in ((UP, 1), (DOWN, 2)):
        orders = [
            (order.field.field_path, order.direction) for order in request(query).structured_query.order_by
        ]
        assert orders == [("doc.body.at", direction), ("__name__", direction)]


LEAST, BEYOND = -(2**63), b""


@pytest.mark.parametrize(
    ("since", "until", "lower", "upper"),
    [
        (None, None, LEAST, BEYOND),
        (5, None, 5, ""),
        (None, 5, LEAST, 5),
        ("a", None, "a", BEYOND),
        (None, "b", "", "b"),
        ("a", "b", "a", "b"),
        (1, 2, 1, 2),
    ],
)
def test_a_bound_ends_where_its_type_ends(since: Any, until: Any, lower: Any, upper: Any) -> None:
    assert ends(request(UP, since, until)) == [([lower], True), ([upper], True)]
    assert ends(request(DOWN, since, until)) == [([upper], False), ([lower], False)]


def test_a_walk_goes_on_after_the_document_where_it_stopped() -> None:
    name = f"{DOCUMENTS}/tenants/t/things/x"
    assert ends(request(UP, 1, 9, Position(5, "x"))) == [([5, name], False), ([9], True)]
    assert ends(request(DOWN, 1, 9, Position(5, "x"))) == [([5, name], False), ([1], False)]
    (start, _) = ends(request(BY_ID, after=Position(None, "x")))
    assert start == ([name], False)


def test_a_cursor_outside_of_the_bounds_gives_way_to_them() -> None:
    assert ends(request(UP, 5, 9, Position(1, "x"))) == [([5], True), ([9], True)]
    assert ends(request(DOWN, 5, 9, Position(9, "x"))) == [([9], False), ([5], False)]


@pytest.mark.parametrize(
    ("query", "since", "until", "after"),
    [
        (UP, 5, 5, None),
        (DOWN, "b", "a", None),
        (UP, None, 5, Position(5, "x")),
        (UP, 1, 5, Position(7, "x")),
        (DOWN, 5, None, Position(4, "x")),
        (DOWN, 5, 9, Position(4, "x")),
    ],
)
def test_where_nothing_can_be_found_nothing_is_asked(
    query: Query, since: Any, until: Any, after: Position | None
) -> None:
    assert request(query, since, until, after) is None
