"""Declared queries as SQL: an index for each, and the statement that walks it."""

import hashlib
from collections.abc import Mapping

import msgspec

from shared.store import Query
from shared.store.cursors import Operand, Position
from shared.store.sqlite.codec import hidden, is_int64


class Statement(msgspec.Struct, frozen=True):
    sql: str
    values: list[object]


def index(query: Query) -> str:
    """The statement that makes the query's index, which holds the documents that it can find."""
    columns = ["coll", *map(_value, query.equal), *_order(query), "path"]
    return (
        f"CREATE INDEX IF NOT EXISTS {_index_name(query)} ON docs ({', '.join(columns)}) "
        f"WHERE {' AND '.join(_indexed(query))}"
    )


def statement(
    query: Query,
    collection: str,
    equal: Mapping[str, Operand],
    since: str | int | None,
    until: str | int | None,
    after: Position | None,
    limit: int,
) -> Statement:
    """Selects path, body, revision and maker. Raises ValueError for operands that cannot be."""
    conditions = [*_indexed(query), "coll = ?"]
    values: list[object] = [collection]
    for field in query.equal:
        conditions += [f"{_value(field)} = ?", f"{_type(field)} = ?"]
        values += [_operand(equal[field]), _json_type(equal[field])]
    for condition, operands in _bounds(query, collection, since, until, after):
        conditions.append(condition)
        values += operands
    direction = " DESC" if query.descending else ""
    order = ", ".join(column + direction for column in (*_order(query), "path"))
    sql = (
        f"SELECT path, body, rev, maker FROM docs INDEXED BY {_index_name(query)} "  # noqa: S608
        f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
    )
    return Statement(sql, [*values, limit])


_Condition = tuple[str, list[object]]


def _bounds(
    query: Query,
    collection: str,
    since: str | int | None,
    until: str | int | None,
    after: Position | None,
) -> list[_Condition]:
    """One lower and one upper bound at most, so that the walk begins where it should."""
    bounds: list[_Condition] = []
    if query.order is not None:
        column = _value(query.order)
        kind = {type(bound) for bound in (since, until) if bound is not None}
        if len(kind) > 1 or not kind <= {str, int}:
            raise ValueError(f"{query.name} is bounded by two strings or two integers")
        if after is not None and kind and type(after.order) not in kind:
            raise ValueError("a broken cursor")
        low = None if after and not query.descending and _reached(after, since) else since
        high = None if after and query.descending and _below(after, until) else until
        bounds += _range(column, low, high, kind)
    if after is not None:
        bounds.append(_after(query, collection, after))
    return bounds


def _range(
    column: str, low: str | int | None, high: str | int | None, kind: set[type[str] | type[int]]
) -> list[_Condition]:
    """SQLite sorts every integer before every string; a bound keeps to its own type."""
    bounds: list[_Condition] = []
    if low is not None:
        bounds.append((f"{column} >= ?", [_operand(low)]))
    elif kind == {str}:
        bounds.append((f"{column} >= ''", []))
    if high is not None:
        bounds.append((f"{column} < ?", [_operand(high)]))
    elif kind == {int}:
        bounds.append((f"{column} < ''", []))
    return bounds


def _reached(after: Position, since: str | int | None) -> bool:
    return since is None or _operand(after.order) >= _operand(since)  # type: ignore[operator]


def _below(after: Position, until: str | int | None) -> bool:
    return until is None or _operand(after.order) < _operand(until)  # type: ignore[operator]


def _after(query: Query, collection: str, after: Position) -> _Condition:
    sign = "<" if query.descending else ">"
    path = f"{collection}/{after.id}"
    if query.order is None:
        return f"path {sign} ?", [path]
    return f"({_value(query.order)}, path) {sign} (?, ?)", [_operand(after.order), path]


def _indexed(query: Query) -> list[str]:
    conditions = [f"kind = '{_name(query.kind)}'"]
    if query.order is not None:
        conditions.append(f"{_type(query.order)} IN ('integer', 'text')")
    return conditions


def _order(query: Query) -> list[str]:
    return [] if query.order is None else [_value(query.order)]


def _index_name(query: Query) -> str:
    """By what it holds: two queries may share one, and a changed declaration gets its own."""
    parts = (query.kind, query.equal, query.order)
    return f"{_name(query.kind)}_{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]}"


def _value(field: str) -> str:
    """A literal path: a bound one would not match the index."""
    return f"json_extract(body, '$.{_name(field)}')"


def _type(field: str) -> str:
    return f"json_type(body, '$.{_name(field)}')"


def _name(name: str) -> str:
    if not (name.isidentifier() and name.isascii()):
        raise ValueError(f"{name!r} cannot be part of a query")
    return name


def _operand(value: object) -> object:
    if isinstance(value, str):
        value.encode()  # raises UnicodeEncodeError, a ValueError, on a lone surrogate
    elif not isinstance(value, int) or not is_int64(value):
        raise ValueError(f"{value!r} cannot be compared with")
    return hidden(value)


def _json_type(value: Operand) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "integer" if isinstance(value, int) else "text"
