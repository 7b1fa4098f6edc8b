"""One commit: its conditions hold or nothing of it happens, wherever in it the wrong one stands."""

import pytest

from shared.store import (
    MAX_COMMIT_BYTES,
    MAX_WRITES,
    Add,
    AlreadyExists,
    Body,
    Check,
    Create,
    Delete,
    DocumentTooLarge,
    OutOfRange,
    Replace,
    Scope,
    Stale,
    Store,
    StoreError,
    Update,
    Version,
    Write,
)
from tests.contract.store.harness import Harness, marker

pytestmark = pytest.mark.anyio


async def made(store: Store, scope: Scope, name: str, body: Body) -> Version:
    (version,) = await store.commit(Create(scope.key("things", name), body))
    assert version is not None
    return version


async def body_of(scope: Scope, name: str) -> Body | None:
    doc = await scope.get("things", name)
    return None if doc is None else doc.body


async def test_each_write_answers_with_the_version_that_a_read_then_shows(store: Store, scope: Scope) -> None:
    old = {name: await made(store, scope, name, {"n": 1}) for name in ("r", "u", "d", "c")}
    writes = (
        Create(scope.key("things", "new"), {}),
        Replace(scope.key("things", "r"), {"n": 2}, old["r"]),
        Update(scope.key("things", "u"), {"m": 2}, old["u"]),
        Delete(scope.key("things", "d"), old["d"]),
        Add(scope.key("things", "a"), {"n": 1}),
        Check(scope.key("things", "c"), old["c"]),
    )
    versions = await store.commit(*writes)
    docs = await store.read(*(write.key for write in writes))
    shown = [doc and doc.version for doc in docs]
    assert versions == [shown[0], shown[1], shown[2], None, shown[4], None]
    assert shown[3] is None
    assert shown[5] == old["c"]


async def test_a_replace_leaves_nothing_of_the_old_body(store: Store, scope: Scope) -> None:
    version = await made(store, scope, "x", {"old": 1, "kept": {"deep": 1}})
    await store.commit(Replace(scope.key("things", "x"), {"kept": {}}, version), marker(store))
    assert await body_of(scope, "x") == {"kept": {}}


async def test_an_update_sets_whole_top_level_fields_and_keeps_the_others(store: Store, scope: Scope) -> None:
    version = await made(store, scope, "x", {"a": {"b": 1, "c": 2}, "n": 1})
    await store.commit(Update(scope.key("things", "x"), {"a": {"b": 3}}, version), marker(store))
    assert await body_of(scope, "x") == {"a": {"b": 3}, "n": 1}


async def test_a_field_name_with_a_dot_is_a_name_and_no_path(store: Store, scope: Scope) -> None:
    key = scope.key("things", "x")
    version = await made(store, scope, "x", {"a": {"b": 1}, "a.b": 2, "`$.a`": 3})
    await store.commit(Update(key, {"a.b": 4, "`$.a`": 5, 'q"': 6}, version), marker(store))
    await store.commit(Add(key, {"a.b": 10, "c.d": 1}, {"e.f": 2}), marker(store))
    expected = {"a": {"b": 1}, "a.b": 14, "`$.a`": 5, 'q"': 6, "c.d": 1, "e.f": 2}
    assert await body_of(scope, "x") == expected


@pytest.mark.parametrize("kind", [Replace, Update, Delete, Check])
@pytest.mark.parametrize("present", [True, False], ids=["changed", "missing"])
async def test_a_write_for_another_version_is_stale(
    store: Store, scope: Scope, kind: type[Write], present: bool
) -> None:
    key = scope.key("things", "x")
    if present:
        version = await made(store, scope, "x", {"n": 1})
        await store.commit(Replace(key, {"n": 1}, version), marker(store))
    else:
        version = await made(store, scope, "other", {})
    writes: dict[type, Write] = {
        Replace: Replace(key, {}, version),
        Update: Update(key, {}, version),
        Delete: Delete(key, version),
        Check: Check(key, version),
    }
    with pytest.raises(Stale):
        await store.commit(writes[kind], marker(store))
    assert await body_of(scope, "x") == ({"n": 1} if present else None)


async def test_a_check_passes_at_its_version_and_changes_nothing(store: Store, scope: Scope) -> None:
    key = scope.key("things", "x")
    version = await made(store, scope, "x", {"n": 1})
    assert (await store.commit(Check(key, version), marker(store)))[0] is None
    doc = await scope.get("things", "x")
    assert doc is not None
    assert (doc.body, doc.version) == ({"n": 1}, version)


async def test_a_document_made_anew_has_a_version_of_its_own(store: Store, scope: Scope) -> None:
    key = scope.key("things", "x")
    first = await made(store, scope, "x", {"n": 1})
    await store.commit(Delete(key))
    second = await made(store, scope, "x", {"n": 1})
    assert first != second
    with pytest.raises(Stale):
        await store.commit(Replace(key, {}, first), marker(store))


async def test_deletes_without_a_version_may_go_alone_and_twice(store: Store, scope: Scope) -> None:
    await made(store, scope, "x", {})
    for _ in range(2):
        versions = await store.commit(Delete(scope.key("things", "x")), Delete(scope.key("things", "never")))
        assert versions == [None, None]
        assert await body_of(scope, "x") is None


WRONG = ("create", "replace", "update", "delete", "check", "add")


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("position", [0, 3, 6])
async def test_one_wrong_write_undoes_the_whole_commit(
    harness: Harness, store: Store, scope: Scope, wrong: str, position: int
) -> None:
    bodies: dict[str, Body] = {name: {"n": 1} for name in ("r", "u", "d", "c", "bad")}
    bodies["bad"] = {"n": 2**63 - 1}
    version = {name: await made(store, scope, name, body) for name, body in bodies.items()}
    bad = scope.key("things", "bad")
    refused: dict[str, tuple[Write, type[StoreError]]] = {
        "create": (Create(bad, {}), AlreadyExists),
        "replace": (Replace(bad, {}, "never"), Stale),
        "update": (Update(bad, {"n": 0}, "never"), Stale),
        "delete": (Delete(bad, "never"), Stale),
        "check": (Check(bad, "never"), Stale),
        "add": (Add(bad, {"m": 1, "n": 1}), OutOfRange),
    }
    good: list[Write] = [
        Create(scope.key("things", "new"), {}),
        Replace(scope.key("things", "r"), {"n": 2}, version["r"]),
        Update(scope.key("things", "u"), {"n": 2}, version["u"]),
        Delete(scope.key("things", "d"), version["d"]),
        Check(scope.key("things", "c"), version["c"]),
        Add(scope.key("things", "a"), {"n": 1}),
    ]
    write, error = refused[wrong]
    with pytest.raises(error):
        await store.commit(*good[:position], write, *good[position:])
    for own in (store, harness.open()):
        keys = [scope.key("things", name) for name in (*bodies, "new", "a")]
        docs = await own.read(*keys)
        assert [doc and (doc.body, doc.version) for doc in docs] == [
            *((bodies[name], version[name]) for name in bodies),
            None,
            None,
        ]


async def test_two_writes_of_one_document_are_refused(store: Store, scope: Scope) -> None:
    key = scope.key("things", "x")
    for second in (Add(key, {"n": 1}), Delete(key), Check(key, "v"), Create(key, {})):
        with pytest.raises(ValueError, match="two writes"):
            await store.commit(Create(key, {}), second)
    assert await body_of(scope, "x") is None


async def test_a_commit_that_could_not_be_recognised_later_is_refused(store: Store, scope: Scope) -> None:
    key = scope.key("things", "x")
    version = await made(store, scope, "x", {"n": 1})
    alone: tuple[Write, ...] = (
        Add(key, {"n": 1}),
        Replace(key, {}, version),
        Update(key, {"n": 2}, version),
        Delete(key, version),
        Check(key, version),
    )
    for write in alone:
        with pytest.raises(ValueError, match="Create"):
            await store.commit(write)
    with pytest.raises(ValueError, match="Create"):
        await store.commit(Delete(scope.key("things", "other")), Add(key, {"n": 1}))
    with pytest.raises(ValueError, match="empty"):
        await store.commit()
    assert await body_of(scope, "x") == {"n": 1}


async def test_as_many_writes_as_allowed_go_in_and_one_more_does_not(store: Store, scope: Scope) -> None:
    writes = [Create(scope.key("things", f"n{i}"), {"i": i}) for i in range(MAX_WRITES)]
    with pytest.raises(DocumentTooLarge):
        await store.commit(*writes, Create(scope.key("things", "more"), {}))
    assert await body_of(scope, "n0") is None
    await store.commit(*writes)
    docs = await store.read(*(write.key for write in writes))
    assert [doc and doc.body for doc in docs] == [{"i": i} for i in range(MAX_WRITES)]


async def test_a_commit_over_its_bytes_is_refused(store: Store, scope: Scope) -> None:
    large = {"text": "x" * 900_000}
    count = MAX_COMMIT_BYTES // 900_000 + 1
    with pytest.raises(DocumentTooLarge):
        await store.commit(*(Create(scope.key("things", f"n{i}"), large) for i in range(count)))
    assert await store.read(*(scope.key("things", f"n{i}") for i in range(count))) == [None] * count


async def test_what_one_store_commits_every_store_reads(harness: Harness, store: Store, scope: Scope) -> None:
    other = harness.open()
    version = await made(store, scope, "x", {"n": 0})
    for n in range(1, 30):
        writer, reader = (store, other) if n % 2 else (other, store)
        versions = await writer.commit(Replace(scope.key("things", "x"), {"n": n}, version), marker(writer))
        (doc,) = await reader.read(scope.key("things", "x"))
        assert doc is not None
        assert (doc.body, doc.version) == ({"n": n}, versions[0])
        version = doc.version
