"""Translates declared queries to Firestore's.

Firestore sorts null, booleans, numbers, strings, bytes, maps in this order. A query orders by integers or
strings, and bodies hold no bytes: so all results lie between the least integer and the least bytes value, and
an open range of one type ends where the next type begins. The ends of a range are cursors and not filters,
because filters cannot mix types.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.google_rpc.messages import RunQueryRequest, Value
from shared.store import Query
from shared.store.cursors import Operand, Position
from shared.store.firestore.codec import operand
from shared.store.firestore.layout import body_path

_NAME = "__name__"


class _End(msgspec.Struct, frozen=True):
    """An end of a range: before a value (None: after all strings), or at the document `id` that has it."""

    value: str | int | None
    id: str | None = None


_LEAST_INTEGER = _End(-(2**63))
_LEAST_STRING = _End("")
_AFTER_STRINGS = _End(None)


def run_query_request(
    documents: str,
    query: Query,
    collection: str,
    equal: Mapping[str, Operand],
    since: str | int | None,
    until: str | int | None,
    after: Position | None,
    limit: int,
) -> Any:
    """The request; None if the range is empty. `documents` is the prefix of all document names.

    Raises ValueError for a cursor that does not fit the bounds.
    """
    parent, _, kind = collection.rpartition("/")
    request = RunQueryRequest(parent=f"{documents}/{parent}" if parent else documents)
    asked = request.structured_query
    asked.from_.add(collection_id=kind)
    asked.limit.value = limit
    _put_filter(asked, equal)
    direction = "DESCENDING" if query.descending else "ASCENDING"
    for field in (_NAME,) if query.order is None else (body_path(query.order), _NAME):
        asked.order_by.add(direction=direction).field.field_path = field
    if query.order is None:
        if after is not None:
            asked.start_at.values.append(_reference(documents, collection, after.id))
        return request
    ends = _ends(query, since, until, after)
    if ends is None:
        return None
    first, last = reversed(ends) if query.descending else ends
    _put_end(asked.start_at, first, documents, collection)
    _put_end(asked.end_at, last, documents, collection)
    # An end is the least of what it begins: where a walk starts upwards or ends downwards, it is met.
    asked.start_at.before = first.id is None and not query.descending
    asked.end_at.before = not query.descending
    return request


def _ends(
    query: Query, since: str | int | None, until: str | int | None, after: Position | None
) -> tuple[_End, _End] | None:
    """The lower and the upper end of the range; None if it is empty."""
    bound = until if since is None else since
    least = _LEAST_STRING if type(bound) is str else _LEAST_INTEGER
    beyond = _LEAST_STRING if type(bound) is int else _AFTER_STRINGS
    lower = least if since is None else _End(since)
    upper = beyond if until is None else _End(until)
    if after is not None:
        if bound is not None and type(after.order) is not type(bound):
            raise ValueError("a broken cursor")
        if _is_less(after.order, since) and query.descending:
            return None
        if until is not None and not _is_less(after.order, until) and not query.descending:
            return None
        if query.descending and (until is None or _is_less(after.order, until)):
            upper = _End(after.order, after.id)
        elif not query.descending and not _is_less(after.order, since):
            lower = _End(after.order, after.id)
    if since is not None and until is not None and not _is_less(since, until):
        return None
    return lower, upper


def _is_less(one: str | int | None, other: str | int | None) -> bool:
    """False if one is None; otherwise both have the same type. Code points sort like Firestore's UTF-8."""
    return one is not None and other is not None and one < other  # type: ignore[operator]


def _put_filter(asked: Any, equal: Mapping[str, Operand]) -> None:
    if not equal:
        return
    asked.where.composite_filter.op = "AND"
    for field, value in equal.items():
        held = asked.where.composite_filter.filters.add().field_filter
        held.field.field_path = body_path(field)
        held.op = "EQUAL"
        held.value.CopyFrom(operand(value))


def _put_end(cursor: Any, end: _End, documents: str, collection: str) -> None:
    cursor.values.append(Value(bytes_value=b"") if end.value is None else operand(end.value))
    if end.id is not None:
        cursor.values.append(_reference(documents, collection, end.id))


def _reference(documents: str, collection: str, escaped_id: str) -> Any:
    return Value(reference_value=f"{documents}/{collection}/{escaped_id}")
