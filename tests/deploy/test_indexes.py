"""The declared indexes are those that the declared queries need, and nothing else is indexed."""

import ast
from pathlib import Path
from typing import Any

import pytest

from deploy import indexes
from shared.store import Query
from shared.store.firestore.layout import EXPIRING

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A tree whose code makes documents in one collection: reading the whole one takes half a second."""
    module = tmp_path / "functions" / "users.py"
    module.parent.mkdir()
    module.write_text('scope.key("users", "u")\n')
    return tmp_path


def overrides(declaration: dict[str, Any], kind: str) -> dict[str, Any]:
    """By field path."""
    return {
        override["fieldPath"]: {name: override[name] for name in ("indexes", "ttl") if name in override}
        for override in declaration["fieldOverrides"]
        if override["collectionGroup"] == kind
    }


def ordered(order: str) -> dict[str, str]:
    return {"order": order, "queryScope": "COLLECTION"}


def test_the_file_is_what_the_code_declares() -> None:
    assert indexes.TARGET.read_text() == indexes.text(), "run python -m deploy.indexes"


def test_every_module_that_declares_queries_is_asked_for_them() -> None:
    declaring = {
        path
        for room in ("functions", "shared")
        for path in (ROOT / room).rglob("*.py")
        if "store" not in path.relative_to(ROOT).parts and makes_a_query(path)
    }
    assert declaring == {Path(str(module.__file__)) for module in indexes.DECLARING}


def makes_a_query(path: Path) -> bool:
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(ast.unparse(call.func) == "Query" for call in calls)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        (Query("up", "users", order="at"), "ASCENDING"),
        (Query("down", "users", order="at", descending=True), "DESCENDING"),
        (Query("equal", "users", ("at",)), "ASCENDING"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_query_over_one_field_takes_that_field_back_in(users: Path, query: Query, order: str) -> None:
    declaration = indexes.declaration([query], users)
    assert overrides(declaration, "users") == {
        "doc": {"indexes": []},
        "doc.body.at": {"indexes": [ordered(order)]},
    }
    assert declaration["indexes"] == []


def test_both_directions_of_a_field_are_one_override(users: Path) -> None:
    queries = (Query("up", "users", order="at"), Query("down", "users", order="at", descending=True))
    found = overrides(indexes.declaration(queries, users), "users")
    assert found["doc.body.at"] == {"indexes": [ordered("ASCENDING"), ordered("DESCENDING")]}


def test_a_query_over_several_fields_has_an_index_with_the_order_last(users: Path) -> None:
    query = Query("both", "users", ("status", "flag"), "at", descending=True)
    declaration = indexes.declaration([query, query], users)
    assert declaration["indexes"] == [
        {
            "collectionGroup": "users",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": "doc.body.status", "order": "ASCENDING"},
                {"fieldPath": "doc.body.flag", "order": "ASCENDING"},
                {"fieldPath": "doc.body.at", "order": "DESCENDING"},
            ],
        }
    ]
    assert overrides(declaration, "users") == {"doc": {"indexes": []}}


def test_a_query_by_id_needs_none(users: Path) -> None:
    declaration = indexes.declaration([Query("by_id", "users")], users)
    assert declaration["indexes"] == []
    assert overrides(declaration, "users") == {"doc": {"indexes": []}}


def test_every_collection_is_exempt_and_what_expires_has_its_policy() -> None:
    declaration = indexes.declaration()
    kinds = {override["collectionGroup"] for override in declaration["fieldOverrides"]}
    assert kinds == indexes.collections()
    assert kinds > {"sessions", "usage_events", "entries", "tenants", *EXPIRING}
    for kind in kinds:
        assert overrides(declaration, kind)["doc"] == {"indexes": []}
        policy = overrides(declaration, kind).get("expires")
        assert policy == ({"indexes": [], "ttl": True} if kind in EXPIRING else None)
    assert len(declaration["fieldOverrides"]) <= 200, "a database has no more exemptions"


def test_a_collection_is_named_where_a_key_is_made(tmp_path: Path) -> None:
    module = tmp_path / "functions" / "made_up.py"
    module.parent.mkdir()
    module.write_text('scope.key("users", "u")\nstore.platform().key("outbox", shard, "entries", "e")\n')
    assert indexes.collections(tmp_path) == {"users", "entries"}
    module.write_text("self._scope.key(kind, 'x')\n")
    with pytest.raises(ValueError, match=r"made_up\.py:1"):
        indexes.collections(tmp_path)
