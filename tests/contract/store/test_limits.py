"""How long names and compared strings may be: the same on every implementation."""

import base64
import json

import pytest

from shared.store import (
    MAX_COMPARED_BYTES,
    MAX_NAME_BYTES,
    Add,
    Create,
    Replace,
    Scope,
    Store,
    Update,
)
from tests.contract.store.harness import BY_ID, BY_STATUS, NEWEST, OLDEST, fill, marker, names

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("letter", ["x", "é", "\0", "😀"])
async def test_what_is_compared_has_1499_bytes_at_most(store: Store, scope: Scope, letter: str) -> None:
    """Firestore cuts its index at 1,500."""
    size = MAX_COMPARED_BYTES // len(letter.encode())
    longest, longer = letter * size, letter * (size + 1)
    await fill(store, scope, {name: {"status": longest, "at": longest} for name in "abc"})
    assert await names(scope, BY_STATUS, equal={"status": longest}, limit=1) == ["a", "b", "c"]
    assert await names(scope, NEWEST, since=longest, limit=1) == ["c", "b", "a"]
    assert await names(scope, OLDEST, until=longest) == []
    for how in (
        {"equal": {"status": longer}},
        {"equal": {"status": ""}, "since": longer},
        {"equal": {"status": ""}, "until": longer},
    ):
        with pytest.raises(ValueError, match="1499"):
            await scope.query(BY_STATUS, **how)


@pytest.mark.parametrize("field", ["status", "at"])
async def test_a_field_that_a_query_looks_at_is_refused_where_it_is_longer(
    store: Store, scope: Scope, field: str
) -> None:
    key, made = scope.key("things", "a"), scope.key("things", "b")
    (version,) = await store.commit(Create(key, {"n": 1}))
    body = {field: "x" * (MAX_COMPARED_BYTES + 1)}
    for write in (
        Create(made, body),
        Add(made, {}, body),
        Replace(key, body, str(version)),
        Update(key, body, str(version)),
    ):
        with pytest.raises(ValueError, match=f"{field}.*1499"):
            await store.commit(marker(store), write)
    await store.commit(
        Create(scope.key("boxes", "a"), body), Create(made, {"other": body[field], "at": [body]})
    )
    assert await names(scope, BY_ID) == ["a", "b"]


async def test_no_cursor_leads_to_what_is_longer(store: Store, scope: Scope) -> None:
    await fill(store, scope, {name: {"at": "x" * MAX_COMPARED_BYTES} for name in "abc"})
    cursor = (await scope.query(OLDEST, limit=2)).cursor
    assert cursor is not None
    decoded = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    decoded[1][0] += "x"
    forged = base64.urlsafe_b64encode(json.dumps(decoded).encode()).decode().rstrip("=")
    with pytest.raises(ValueError, match="cursor"):
        await scope.query(OLDEST, cursor=forged)


@pytest.mark.parametrize("letter", ["x", "%", "/", "\0", "`", "\\", "é", "😀", "_", "."])
async def test_a_top_level_name_has_400_bytes_at_most(store: Store, scope: Scope, letter: str) -> None:
    """However long it becomes in Firestore, which takes 1,500 bytes for a field with all that it is in."""
    size = MAX_NAME_BYTES // len(letter.encode())
    longest, longer = letter * size, letter * (size + 1)
    created, replaced, added, made = (scope.key("things", name) for name in "cram")
    versions = await store.commit(Create(created, {longest: 1}), Create(replaced, {}))
    versions = await store.commit(
        Update(created, {longest: [1]}, str(versions[0])),
        Replace(replaced, {longest: {longer: 1}}, str(versions[1])),
        Add(added, {longest: 1}, {longest[:-1]: "1"}),
        marker(store),
    )
    docs = await store.read(created, replaced, added)
    assert [doc and doc.body for doc in docs] == [
        {longest: [1]},
        {longest: {longer: 1}},
        {longest: 1, longest[:-1]: "1"},
    ]
    for write in (
        Create(made, {longer: 1}),
        Add(made, {longer: 1}),
        Add(made, {}, {longer: 1}),
        Update(created, {longer: 1}, str(versions[0])),
        Replace(replaced, {longer: 1}, str(versions[1])),
    ):
        with pytest.raises(ValueError, match="400"):
            await store.commit(marker(store), write)
