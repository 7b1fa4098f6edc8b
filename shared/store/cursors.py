"""Cursors: opaque texts that say where a page ended, and continue the same query only."""

import hashlib
from collections.abc import Mapping
from typing import Annotated

import msgspec

from shared import base64url
from shared.store import MAX_COMPARED_BYTES, Query
from shared.store.paths import is_escaped

Operand = str | int | bool


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last document of a page: its order field (None where a query goes by id) and its escaped id."""

    order: str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None
    id: str


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Further members are refused without being parsed, so a cursor is never nested deeper than this."""

    query: str
    position: Position


def cursor(query: Query, collection: str, equal: Mapping[str, Operand], position: Position) -> str:
    return base64url.encode(msgspec.json.encode(_Cursor(_fingerprint(query, collection, equal), position)))


def position(query: Query, collection: str, equal: Mapping[str, Operand], cursor: str) -> Position:
    """Raises ValueError for any text that `cursor` did not make for the same query, collection and fields."""
    try:
        decoded = msgspec.json.decode(base64url.decode(cursor), type=_Cursor)
    except ValueError:
        raise ValueError("a broken cursor") from None
    if decoded.query != _fingerprint(query, collection, equal):
        raise ValueError("a cursor of another query")
    if (query.order is None) != (decoded.position.order is None) or not is_escaped(decoded.position.id):
        raise ValueError("a broken cursor")
    if isinstance(decoded.position.order, str) and len(decoded.position.order.encode()) > MAX_COMPARED_BYTES:
        raise ValueError("a broken cursor")
    return decoded.position


def _fingerprint(query: Query, collection: str, equal: Mapping[str, Operand]) -> str:
    parts = (query, collection, sorted(equal.items()))
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
