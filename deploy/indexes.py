"""Writes `deploy/firestore.indexes.json` from the queries that the code declares and the documents it makes.

    python -m deploy.indexes

The format is the one of Firebase's tools (firebase.google.com/docs/reference/firestore/indexes). Nothing is
indexed but what a query looks at, since an index entry that nobody reads is paid for, and one that follows
the clock makes a hot range: in each collection the map that holds everything is exempt, and single fields of
its body are taken back in. The field after whose time a document goes has its policy here as well.
"""

import argparse
import ast
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from functions.auth import records as auth
from functions.billing import records as billing
from functions.tenants import records as tenants
from shared import outbox, quarantine, revocations
from shared.store import Query
from shared.store.firestore.layout import EXPIRES, EXPIRING, HELD, body_path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "firestore.indexes.json"
DECLARING = (auth, billing, tenants, outbox, quarantine, revocations)
"""The modules that declare queries."""
QUERIES = tuple(query for module in DECLARING for query in module.QUERIES)

_Field = tuple[str, str]
"""A field path and `ASCENDING` or `DESCENDING`."""


def declaration(queries: Iterable[Query] = QUERIES, root: Path = ROOT) -> dict[str, Any]:
    """What the file holds. Raises ValueError where a collection's name is not written out in the code."""
    composite: set[tuple[str, tuple[_Field, ...]]] = set()
    single: dict[str, set[_Field]] = {kind: set() for kind in collections(root)}
    for query in queries:
        fields = _fields(query)
        if len(fields) == 1:
            single[query.kind].update(fields)
        elif fields:
            composite.add((query.kind, fields))
    return {
        "indexes": [_composite(kind, fields) for kind, fields in sorted(composite)],
        "fieldOverrides": [
            override for kind in sorted(single) for override in _overrides(kind, sorted(single[kind]))
        ],
    }


def collections(root: Path = ROOT) -> set[str]:
    """The names of the collections in which the functions make documents, from their source."""
    return {
        name
        for room in ("functions", "shared")
        for path in sorted((root / room).rglob("*.py"))
        if "store" not in path.relative_to(root).parts
        for name in _collections(ast.parse(path.read_text(encoding="utf-8")), path)
    }


def _collections(module: ast.Module, path: Path) -> Iterator[str]:
    for node in ast.walk(module):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr != "key" or not _is_of_a_scope(node.func.value):
            continue
        name = node.args[-2] if len(node.args) > 1 else None
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            raise ValueError(f"{path}:{node.lineno}: a collection's name is written out where a key is made")
        yield name.value


def _is_of_a_scope(value: ast.expr) -> bool:
    """`store.tenant(…)`, `store.platform()`, or a name that says what it is; not the `key` of a module."""
    text = ast.unparse(value)
    return text.endswith((")", "scope", "platform"))


def _fields(query: Query) -> tuple[_Field, ...]:
    equal = tuple((body_path(field), "ASCENDING") for field in query.equal)
    if query.order is None:
        return equal
    return (*equal, (body_path(query.order), "DESCENDING" if query.descending else "ASCENDING"))


def _composite(kind: str, fields: Iterable[_Field]) -> dict[str, Any]:
    """Ties go by name, in the direction of the last field, without being asked."""
    return {
        "collectionGroup": kind,
        "queryScope": "COLLECTION",
        "fields": [{"fieldPath": path, "order": order} for path, order in fields],
    }


def _overrides(kind: str, fields: Iterable[_Field]) -> Iterator[dict[str, Any]]:
    yield {"collectionGroup": kind, "fieldPath": HELD, "indexes": []}
    orders: dict[str, list[str]] = {}
    for path, order in fields:
        orders.setdefault(path, []).append(order)
    for path, found in orders.items():
        indexes = [{"order": order, "queryScope": "COLLECTION"} for order in found]
        yield {"collectionGroup": kind, "fieldPath": path, "indexes": indexes}
    if kind in EXPIRING:
        yield {"collectionGroup": kind, "fieldPath": EXPIRES, "ttl": True, "indexes": []}


def text() -> str:
    """The file as it should be."""
    return json.dumps(declaration(), indent=2) + "\n"


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m deploy.indexes", description=(__doc__ or "").partition("\n")[0]
    ).parse_args()
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
