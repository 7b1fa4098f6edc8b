"""Translates declared queries to SQL: an index for each, and the statement that uses it."""

import hashlib
from collections.abc import Mapping

import msgspec

from shared.store import Query
from shared.store.cursors import Operand, Position
from shared.store.sqlite.codec import hidden


class Statement(msgspec.Struct, frozen=True):
    sql: str
    values: list[object]


def index(query: Query) -> str:
    """The statement that creates the query's index, which covers only documents that the query can find."""
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
    """Selects path, body, revision and maker. Raises ValueError for a broken cursor."""
    conditions = [*_indexed(query), "coll = ?"]
    values: list[object] = [collection]
    for field in query.equal:
        conditions += [f"{_value(field)} = ?", f"{_type(field)} = ?"]
        values += [hidden(equal[field]), _json_type(equal[field])]
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
    """At most one lower and one upper bound, so that SQLite starts right at the cursor."""
    if query.order is None:
        return [] if after is None else [_beyond(query, collection, after)]
    column = _value(query.order)
    bound = until if since is None else since
    lower = None if since is None else (f"{column} >= ?", [hidden(since)])
    upper = None if until is None else (f"{column} < ?", [hidden(until)])
    if type(bound) is str:  # SQLite sorts every integer before every string
        lower = lower or (f"{column} >= ''", [])
    elif type(bound) is int:
        upper = upper or (f"{column} < ''", [])
    if after is not None:
        if bound is not None and type(after.order) is not type(bound):
            raise ValueError("a broken cursor")
        if query.descending:
            inside = until is None or _less(after.order, until)
            upper = _beyond(query, collection, after) if inside else upper
        else:
            outside = _less(after.order, since)
            lower = lower if outside else _beyond(query, collection, after)
    return [condition for condition in (lower, upper) if condition]


def _less(one: str | int | None, other: str | int | None) -> bool:
    """False if one is None; otherwise both have the same type."""
    return one is not None and other is not None and one < other  # type: ignore[operator]


def _beyond(query: Query, collection: str, after: Position) -> _Condition:
    sign = "<" if query.descending else ">"
    path = f"{collection}/{after.id}"
    if query.order is None:
        return f"path {sign} ?", [path]
    column, value = _value(query.order), hidden(after.order)
    return f"{column} {sign}= ? AND (path {sign} ? OR {column} {sign} ?)", [value, path, value]


def _indexed(query: Query) -> list[str]:
    conditions = [f"kind = '{_name(query.kind)}'"]
    if query.order is not None:
        conditions.append(f"{_type(query.order)} IN ('integer', 'text')")
    return conditions


def _order(query: Query) -> list[str]:
    return [] if query.order is None else [_value(query.order)]


def _index_name(query: Query) -> str:
    """A name made of what is indexed: equal declarations share an index, a changed one gets a new one."""
    parts = (query.kind, query.equal, query.order)
    return f"{_name(query.kind)}_{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]}"


def _value(field: str) -> str:
    """The SQL expression of a field, with a literal path: a bound parameter would not match the index."""
    return f"json_extract(body, '$.{_name(field)}')"


def _type(field: str) -> str:
    return f"json_type(body, '$.{_name(field)}')"


def _name(name: str) -> str:
    if not (name.isidentifier() and name.isascii()):
        raise ValueError(f"{name!r} cannot be part of a query")
    return name


def _json_type(value: Operand) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "integer" if isinstance(value, int) else "text"
