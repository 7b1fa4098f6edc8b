"""Random commits, against plain dicts that say what the port promises."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.store import (
    Add,
    AlreadyExists,
    Body,
    Check,
    Create,
    Delete,
    Key,
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
from tests.contract.store.harness import (
    BY_ID,
    NEWEST,
    OLDEST,
    FirestoreHarness,
    Harness,
    SqliteHarness,
    marker,
    names,
    typed,
)

NAMES = ("a", "b/c", "d")
KINDS = ("create", "replace", "update", "delete", "wipe", "add", "check")

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.sampled_from(["\0", "\x01", "\x01\x02", 0, 1, 2**63 - 1]),
)
bodies = st.dictionaries(
    st.sampled_from(["at", "x.y", "n", "\0"]), values | st.lists(values, max_size=2), max_size=4
)
steps = st.tuples(
    st.sampled_from(KINDS), bodies, st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2), st.booleans()
)
commits = st.dictionaries(st.sampled_from(NAMES), steps, min_size=1, max_size=3)
courses = st.lists(commits, min_size=1, max_size=8)

Model = dict[str, tuple[Body, Version]]


@given(courses)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_any_course_of_commits_ends_where_plain_dicts_end(course: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(follow(SqliteHarness(Path(folder)), course))


@given(course=courses)
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_so_does_any_on_firestore(warm_firestore: str, course: list[dict[str, Any]]) -> None:
    asyncio.run(follow(FirestoreHarness(warm_firestore), course))


async def follow(harness: Harness, course: list[dict[str, Any]]) -> None:
    store = harness.open()
    scope = store.tenant("t")
    model: Model = {}
    try:
        for commit in course:
            await step(store, scope, model, commit)
            await compare(store, scope, model)
    finally:
        await harness.close()


async def step(store: Store, scope: Scope, model: Model, commit: dict[str, Any]) -> None:
    after: dict[str, Body | None] = {}
    writes: list[Write] = []
    refusals: set[type[StoreError]] = set()
    for name, (kind, body, amount, current) in commit.items():
        old, version = model.get(name, (None, "missing"))
        asked = version if current else "another"
        writes.append(write_of(kind, scope, name, body, amount, asked))
        try:
            after[name] = expected(kind, old, body, amount, matches=old is not None and current)
        except StoreError as refusal:
            refusals.add(type(refusal))
    if refusals:
        with pytest.raises(tuple(refusals)):
            await store.commit(*writes, marker(store))
        return
    versions = await store.commit(*writes, marker(store))
    for name, made in zip(commit, versions, strict=False):
        new = after[name]
        if new is None:
            model.pop(name, None)
        elif made is not None:
            model[name] = (new, made)


def write_of(kind: str, scope: Scope, name: str, body: Body, amount: int, version: Version) -> Write:
    key = scope.key("things", name)
    fields = {field: value for field, value in body.items() if field != "n"}
    writes: dict[str, Write] = {
        "create": Create(key, body),
        "replace": Replace(key, body, version),
        "update": Update(key, body, version),
        "delete": Delete(key, version),
        "wipe": Delete(key),
        "add": Add(key, {"n": amount}, fields),
        "check": Check(key, version),
    }
    return writes[kind]


def expected(kind: str, old: Body | None, body: Body, amount: int, *, matches: bool) -> Body | None:
    """The body afterwards; raises what the port says."""
    if kind == "create":
        if old is not None:
            raise AlreadyExists(Key("any"))
        return body
    if kind == "wipe":
        return None
    if kind == "add":
        present = (old or {}).get("n")
        total = amount + (present if type(present) is int else 0)
        if not -(2**63) <= total < 2**63:
            raise OutOfRange
        fields = {field: value for field, value in body.items() if field != "n"}
        return {**(old or {}), **fields, "n": total}
    if not matches:
        raise Stale
    return {"replace": body, "update": {**(old or {}), **body}, "delete": None, "check": old}[kind]


async def compare(store: Store, scope: Scope, model: Model) -> None:
    docs = await store.read(*(scope.key("things", name) for name in NAMES))
    found = {doc.key.id: (doc.body, doc.version) for doc in docs if doc is not None}
    assert found == model
    assert {name: typed(body) for name, (body, _) in found.items()} == {
        name: typed(body) for name, (body, _) in model.items()
    }
    assert sorted(await names(scope, BY_ID, limit=1)) == sorted(model)
    ordered = sorted(
        (kind_of(body["at"]), body["at"], scope.key("things", name).path, name)
        for name, (body, _) in model.items()
        if kind_of(body.get("at"))
    )
    assert await names(scope, OLDEST, limit=1) == [name for *_, name in ordered]
    assert await names(scope, NEWEST, limit=2) == [name for *_, name in reversed(ordered)]


def kind_of(value: object) -> int:
    """0 for what a query cannot order by; integers before strings."""
    return {int: 1, str: 2}.get(type(value), 0)
