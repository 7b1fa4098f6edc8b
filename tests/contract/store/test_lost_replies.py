"""A commit whose reply is lost: it happened once or not at all, and the caller hears which."""

import pytest

from shared.errors import Unavailable
from shared.store import (
    Add,
    AlreadyExists,
    Create,
    Delete,
    Replace,
    Scope,
    Stale,
    Store,
    Update,
    Version,
    Write,
)
from tests.contract.store.harness import Harness, marker

pytestmark = pytest.mark.anyio


async def test_a_create_whose_reply_is_lost_succeeds_and_is_no_conflict(
    harness: Harness, store: Store, scope: Scope
) -> None:
    harness.lose_next_replies(store, 1)
    (version,) = await store.commit(Create(scope.key("things", "x"), {"n": 1}))
    doc = await scope.get("things", "x")
    assert doc is not None
    assert (doc.body, doc.version) == ({"n": 1}, version)


@pytest.mark.parametrize("times", [1, 2, 3, 4])
async def test_an_add_is_counted_once_however_often_its_reply_is_lost(
    harness: Harness, store: Store, scope: Scope, times: int
) -> None:
    harness.lose_next_replies(store, times)
    await store.commit(Add(scope.key("things", "sum"), {"n": 5}), marker(store))
    doc = await scope.get("things", "sum")
    assert doc is not None
    assert doc.body == {"n": 5}


async def test_the_versions_after_a_lost_reply_are_good_for_the_next_write(
    harness: Harness, store: Store, scope: Scope
) -> None:
    x, y, z = (scope.key("things", name) for name in "xyz")
    old: list[Version | None] = []
    for key in (x, y, z):
        old += await store.commit(Create(key, {"n": 1}))
    harness.lose_next_replies(store, 1)
    first, second = str(old[0]), str(old[1])
    versions = await store.commit(
        Replace(x, {"n": 2}, first), Update(y, {"n": 2}, second), Delete(z), marker(store)
    )
    assert versions[2] is None
    await store.commit(
        Replace(x, {"n": 3}, str(versions[0])), Update(y, {"n": 3}, str(versions[1])), marker(store)
    )
    docs = await store.read(x, y, z)
    assert [doc and doc.body for doc in docs] == [{"n": 3}, {"n": 3}, None]


async def test_a_request_that_is_lost_is_sent_again(harness: Harness, store: Store, scope: Scope) -> None:
    harness.lose_next_requests(store, 2)
    await store.commit(Create(scope.key("things", "x"), {"n": 1}), Add(scope.key("things", "sum"), {"n": 5}))
    docs = await store.read(scope.key("things", "x"), scope.key("things", "sum"))
    assert [doc and doc.body for doc in docs] == [{"n": 1}, {"n": 5}]


async def test_somebody_elses_document_is_a_conflict_after_a_lost_reply_too(
    harness: Harness, store: Store, scope: Scope
) -> None:
    key = scope.key("things", "x")
    await harness.open().commit(Create(key, {"owner": "somebody else"}))
    harness.lose_next_replies(store, 1)
    with pytest.raises(AlreadyExists) as refusal:
        await store.commit(marker(store), Create(key, {"owner": "me"}))
    assert refusal.value.key == key
    doc = await scope.get("things", "x")
    assert doc is not None
    assert doc.body == {"owner": "somebody else"}


async def test_a_stale_write_is_stale_after_a_lost_reply_too(
    harness: Harness, store: Store, scope: Scope
) -> None:
    key = scope.key("things", "x")
    await store.commit(Create(key, {"n": 1}))
    harness.lose_next_replies(store, 1)
    with pytest.raises(Stale):
        await store.commit(Replace(key, {"n": 2}, "another"), marker(store))
    doc = await scope.get("things", "x")
    assert doc is not None
    assert doc.body == {"n": 1}


async def test_a_store_that_never_answers_is_unavailable(
    harness: Harness, store: Store, scope: Scope
) -> None:
    """P20: an outage is `Unavailable`, which the doors answer with 503."""
    harness.lose_next_requests(store, 100)
    with pytest.raises(Unavailable):
        await store.commit(Create(scope.key("things", "x"), {}))
    harness.lose_next_requests(store, 0)
    assert await scope.get("things", "x") is None


async def test_deletes_whose_reply_is_lost_are_sent_again(
    harness: Harness, store: Store, scope: Scope
) -> None:
    await store.commit(Create(scope.key("things", "x"), {}))
    harness.lose_next_replies(store, 2)
    assert await store.commit(Delete(scope.key("things", "x"))) == [None]
    assert await scope.get("things", "x") is None


@pytest.mark.parametrize("change", ["replace", "update", "add"])
async def test_a_document_that_changed_before_the_lost_reply_was_noticed_still_tells_who_made_it(
    harness: Harness, store: Store, scope: Scope, change: str
) -> None:
    """Another instance may be faster than the second try."""
    key = scope.key("things", "x")
    other = harness.open()

    async def meddle() -> None:
        (doc,) = await other.read(key)
        assert doc is not None
        writes: dict[str, Write] = {
            "replace": Replace(key, {"by": "other"}, doc.version),
            "update": Update(key, {"by": "other"}, doc.version),
            "add": Add(key, {}, {"by": "other"}),
        }
        await other.commit(writes[change], marker(other))

    harness.lose_next_replies(store, 1, meddle)
    (version,) = await store.commit(Create(key, {"by": "me"}))
    doc = await scope.get("things", "x")
    assert doc is not None
    assert doc.body == {"by": "other"}
    assert doc.version != version
    with pytest.raises(Stale):
        await store.commit(Replace(key, {}, str(version)), marker(store))


async def test_a_document_that_is_gone_before_the_second_try_does_not_make_it_somebody_elses_commit(
    harness: Harness, store: Store, scope: Scope
) -> None:
    gone, kept = scope.key("things", "gone"), scope.key("things", "kept")
    other = harness.open()

    async def meddle() -> None:
        await other.commit(Delete(gone))

    harness.lose_next_replies(store, 1, meddle)
    await store.commit(Create(gone, {}), Add(scope.key("things", "sum"), {"n": 5}), Create(kept, {}))
    docs = await store.read(gone, kept, scope.key("things", "sum"))
    assert [doc and doc.body for doc in docs] == [None, {}, {"n": 5}]


@pytest.mark.parametrize("also", ["add", "replace"])
async def test_an_outbox_entry_that_is_swept_before_the_second_try_makes_no_second_commit(
    harness: Harness, store: Store, scope: Scope, also: str
) -> None:
    entry = store.platform().key("outbox", "auth-0", "entries", "e1")
    key = scope.key("things", "x")
    (version,) = await store.commit(Create(key, {"n": 1}))
    other = harness.open()

    async def sweep() -> None:
        await other.commit(Delete(entry))

    write = Add(key, {"n": 5}) if also == "add" else Replace(key, {"n": 6}, str(version))
    harness.lose_next_replies(store, 1, sweep)
    await store.commit(Create(entry, {}), write, marker(store))
    docs = await store.read(entry, key)
    assert [doc and doc.body for doc in docs] == [None, {"n": 6}]
