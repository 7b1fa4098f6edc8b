"""A body comes back as it went in; what cannot is refused before anything is written."""

from typing import Any

import pytest

from shared.store import MAX_DOCUMENT_BYTES, Add, Create, DocumentTooLarge, Replace, Scope, Store, Update
from tests.contract.store.harness import marker, typed

pytestmark = pytest.mark.anyio

FAITHFUL: list[dict[str, Any]] = [
    {},
    {"true": True, "false": False, "one": 1, "zero": 0, "none": None},
    {"max": 2**63 - 1, "min": -(2**63), "beyond_floats": 2**53 + 1},
    {"a": {}, "b": [], "c": {"d": {"e": [{}, {"f": []}]}}, "g": ""},
    {"nul": "a\0b", "one": "\x01", "two": "\x01\x02\0\x01\x01", "end": "\0", "list": ["\0", {"n": "\x01\0"}]},
    {
        "text": "é 漢 😀 \u2028 \x7f \ufeff \uffff",
        "escapes": '"\\/\b\f\n\r\t',
        "looks": "\\u0000 \\u0001 %00",
    },
    {"": "empty name", "a.b": 1, "$": 2, "with space": 3, "é": 4, '"': 5, "nul\0": 6, "0": 7},
    {"list": [None, True, False, 0, 1, "1", {"a": [1, {"b": "c"}]}]},
]


@pytest.mark.parametrize("body", FAITHFUL)
async def test_a_body_comes_back_with_its_types(store: Store, scope: Scope, body: dict[str, Any]) -> None:
    created, replaced, updated, added = (scope.key("things", name) for name in ("c", "r", "u", "a"))
    versions = await store.commit(Create(created, body), Create(replaced, {}), Create(updated, {}))
    await store.commit(
        Replace(replaced, body, str(versions[1])),
        Update(updated, body, str(versions[2])),
        Add(added, {}, body),
        marker(store),
    )
    for doc in await store.read(created, replaced, updated, added):
        assert doc is not None
        assert typed(doc.body) == typed(body)
    await store.commit(Add(created, {"added": 1}), marker(store))
    doc = await scope.get("things", "c")
    assert doc is not None
    assert typed(doc.body) == typed({**body, "added": 1})


REFUSED: list[Any] = [
    1.5,
    float("nan"),
    float("inf"),
    2**63,
    -(2**63) - 1,
    {1: "a"},
    {None: 1},
    {b"a": 1},
    "\ud800",
    {"\udfff": 1},
    (1, 2),
    {1, 2},
    b"bytes",
    object(),
]


@pytest.mark.parametrize("depth", ["top", "deep"])
@pytest.mark.parametrize("value", REFUSED, ids=lambda value: ascii(value)[:20])
async def test_what_is_no_json_without_floats_is_refused_and_nothing_is_written(
    store: Store, scope: Scope, value: Any, depth: str
) -> None:
    """B2: neither NaN nor a number that would lose digits gets in."""
    key = scope.key("things", "x")
    (version,) = await store.commit(Create(key, {"n": 1}))
    body = {"ok": 1, "v": value if depth == "top" else [{"a": [value]}]}
    other = scope.key("things", "other")
    for write in (Create(other, body), Add(other, {}, body), Replace(key, body, str(version))):
        with pytest.raises(ValueError, match=r".+"):
            await store.commit(marker(store), write)
    with pytest.raises(ValueError, match=r".+"):
        await store.commit(marker(store), Update(key, body, str(version)))
    docs = await store.read(key, other)
    assert [doc and doc.body for doc in docs] == [{"n": 1}, None]


async def test_a_body_that_is_nested_without_end_is_refused(store: Store, scope: Scope) -> None:
    body: dict[str, Any] = {}
    body["self"] = body
    with pytest.raises(ValueError, match="nested"):
        await store.commit(Create(scope.key("things", "x"), body))


async def test_a_body_is_taken_as_it_is_when_commit_is_called(store: Store, scope: Scope) -> None:
    body = {"n": 1, "list": [1]}
    pending = store.commit(Create(scope.key("things", "x"), body))
    await pending
    body["n"] = 2
    first = await scope.get("things", "x")
    assert first is not None
    first.body["n"] = 3
    second = await scope.get("things", "x")
    assert second is not None
    assert second.body == {"n": 1, "list": [1]}


@pytest.mark.parametrize("letter", ["x", "é", "\n"])
async def test_a_document_of_nearly_a_million_bytes_is_whole(store: Store, scope: Scope, letter: str) -> None:
    text = letter * ((MAX_DOCUMENT_BYTES - 100) // 2)
    await store.commit(Create(scope.key("things", "x"), {"text": text}))
    doc = await scope.get("things", "x")
    assert doc is not None
    assert doc.body == {"text": text}


async def test_a_document_over_a_million_bytes_is_refused_however_it_gets_there(
    store: Store, scope: Scope
) -> None:
    key = scope.key("things", "x")
    half, whole = "x" * (MAX_DOCUMENT_BYTES * 3 // 5), "x" * MAX_DOCUMENT_BYTES
    with pytest.raises(DocumentTooLarge):
        await store.commit(Create(key, {"text": whole}))
    (version,) = await store.commit(Create(key, {"text": half}))
    for write in (
        Replace(key, {"text": whole}, str(version)),
        Update(key, {"more": half}, str(version)),
        Add(key, {"n": 1}, {"more": half}),
    ):
        with pytest.raises(DocumentTooLarge):
            await store.commit(marker(store), write)
    doc = await scope.get("things", "x")
    assert doc is not None
    assert (doc.body, doc.version) == ({"text": half}, version)
