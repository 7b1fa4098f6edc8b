"""A read is one moment of the whole store."""

import asyncio

import pytest

from shared.store import Create, Replace, Scope, Store
from tests.contract.store.harness import Harness, marker

pytestmark = pytest.mark.anyio


async def test_a_read_never_sees_half_of_a_commit(harness: Harness, store: Store, scope: Scope) -> None:
    """Two documents that always change together are never seen apart, from inside or from another store."""
    if harness.tears_reads:
        pytest.skip("Google's emulator applies a commit document by document; Google promises not to")
    left, right = scope.key("things", "left"), scope.key("things", "right")
    versions = await store.commit(Create(left, {"n": 0}), Create(right, {"n": 0}))
    seen: tuple[set[int], set[int]] = (set(), set())
    flipping = True

    async def flip() -> None:
        nonlocal versions, flipping
        n = 0
        while n < 100 or min(map(len, seen)) < 5:
            n += 1
            versions = await store.commit(
                Replace(left, {"n": n}, str(versions[0])),
                Replace(right, {"n": n}, str(versions[1])),
                marker(store),
            )
        flipping = False

    async def watch(own: Store, seen: set[int]) -> None:
        while flipping:
            one, other, again = await own.read(left, right, left)
            assert one is not None
            assert other is not None
            assert one.body == other.body
            assert one == again
            seen.add(one.body["n"])

    await asyncio.wait_for(
        asyncio.gather(watch(store, seen[0]), watch(harness.open(), seen[1]), flip()), timeout=20
    )


async def test_a_read_answers_in_the_order_asked_with_none_for_what_is_missing(
    store: Store, scope: Scope
) -> None:
    await store.commit(*(Create(scope.key("things", name), {"name": name}) for name in "abc"))
    keys = [scope.key("things", name) for name in "cxabca"]
    docs = await store.read(*keys)
    assert [doc and doc.body["name"] for doc in docs] == ["c", None, "a", "b", "c", "a"]
    assert await store.read() == []
