"""Pages: a walk meets everything once, and a cursor is good for nothing else."""

import asyncio
import base64
import json
import random

import pytest

from shared.store import Body, Create, Delete, Key, Query, Scope, Store
from tests.contract.store.harness import (
    BY_FLAG,
    BY_ID,
    BY_STATUS,
    BY_TWO,
    NEWEST,
    OLDEST,
    fill,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_the_last_page_has_no_cursor_even_when_it_is_full(
    store: Store, scope: Scope, count: int
) -> None:
    await fill(store, scope, {f"n{i}": {"at": i} for i in range(count)})
    page = await scope.query(OLDEST, limit=max(count, 1))
    assert (len(page.docs), page.cursor) == (count, None)


@pytest.mark.parametrize("query", [OLDEST, NEWEST, BY_ID], ids=lambda query: query.name)
async def test_a_walk_meets_what_stays_exactly_once_while_others_come_and_go(
    store: Store, scope: Scope, query: Query
) -> None:
    stay = {f"s{i:03}": {"at": i // 3} for i in range(60)}
    await fill(store, scope, stay)
    chance = random.Random(7)
    present: list[Key] = []
    met: list[str] = []
    cursor = None
    while True:
        page = await scope.query(query, limit=7, cursor=cursor)
        met += [doc.key.id for doc in page.docs]
        if page.cursor is None:
            break
        cursor = page.cursor
        new = [scope.key("things", f"x{chance.random()}") for _ in range(10)]
        await store.commit(*(Create(key, {"at": chance.randrange(20)}) for key in new))
        present += new
        chance.shuffle(present)
        await asyncio.gather(*(store.commit(Delete(key)) for key in present[:5]))
        del present[:5]
    stayed = [name for name in met if name in stay]
    assert sorted(stayed) == sorted(stay)
    assert len(met) == len(set(met))


async def test_a_walk_goes_on_where_its_last_document_stood_even_if_that_is_gone(
    store: Store, scope: Scope
) -> None:
    await fill(store, scope, {f"n{i}": {"at": 0} for i in range(5)})
    page = await scope.query(OLDEST, limit=2)
    await store.commit(Delete(scope.key("things", "n1")), Delete(scope.key("things", "n2")))
    rest = await scope.query(OLDEST, cursor=page.cursor)
    assert [doc.key.id for doc in rest.docs] == ["n3", "n4"]


async def test_bounds_given_with_a_cursor_still_hold(store: Store, scope: Scope) -> None:
    await fill(store, scope, {f"n{i}": {"at": i} for i in range(9)})
    up = (await scope.query(OLDEST, limit=3)).cursor
    down = (await scope.query(NEWEST, limit=3)).cursor
    assert [doc.key.id for doc in (await scope.query(OLDEST, cursor=up, since=5, until=7)).docs] == [
        "n5",
        "n6",
    ]
    assert [doc.key.id for doc in (await scope.query(OLDEST, cursor=up, since=1, until=4)).docs] == ["n3"]
    assert [doc.key.id for doc in (await scope.query(NEWEST, cursor=down, since=2, until=4)).docs] == [
        "n3",
        "n2",
    ]
    assert [doc.key.id for doc in (await scope.query(NEWEST, cursor=down, since=4)).docs] == ["n5", "n4"]
    assert (await scope.query(NEWEST, cursor=down, until=0)).docs == []
    assert [doc.key.id for doc in (await scope.query(NEWEST, cursor=down, until=6, limit=1)).docs] == ["n5"]


async def test_a_cursor_is_good_for_its_query_its_collection_and_its_equal_fields_only(
    store: Store, scope: Scope
) -> None:
    bodies: dict[str, Body] = {f"n{i}": {"status": "open", "flag": True, "at": i} for i in range(4)}
    await fill(store, scope, bodies)
    await fill(store, store.tenant("other"), bodies)
    cursor = (await scope.query(BY_STATUS, equal={"status": "open"}, limit=2)).cursor
    assert cursor is not None
    both: dict[str, str | int | bool] = {"status": "open", "flag": True}
    others: tuple[tuple[Scope, Query, dict[str, str | int | bool]], ...] = (
        (scope, OLDEST, {}),
        (scope, BY_ID, {}),
        (scope, BY_TWO, both),
        (scope, BY_STATUS, {"status": "done"}),
        (store.tenant("other"), BY_STATUS, {"status": "open"}),
    )
    for own, query, equal in others:
        with pytest.raises(ValueError, match="another query"):
            await own.query(query, equal=equal, cursor=cursor)
    with pytest.raises(ValueError, match="cursor"):
        await scope.query(BY_STATUS, equal={"status": "open"}, since="text", cursor=cursor)


async def test_an_equal_field_of_another_type_is_another_query_for_a_cursor(
    store: Store, scope: Scope
) -> None:
    await fill(store, scope, {f"n{i}": {"flag": True} for i in range(3)})
    cursor = (await scope.query(BY_FLAG, equal={"flag": True}, limit=2)).cursor
    with pytest.raises(ValueError, match="another query"):
        await scope.query(BY_FLAG, equal={"flag": 1}, cursor=cursor)


async def test_a_broken_cursor_is_refused_whatever_is_broken_about_it(store: Store, scope: Scope) -> None:
    await fill(store, scope, {f"n{i}": {"at": i} for i in range(4)})
    cursor = (await scope.query(OLDEST, limit=2)).cursor
    assert cursor is not None
    decoded = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))

    def forged(position: object) -> str:
        return base64.urlsafe_b64encode(json.dumps([decoded[0], position]).encode()).decode().rstrip("=")

    assert (await scope.query(OLDEST, cursor=forged(decoded[1]))).docs
    broken = [
        "", "x", "====", "é", "\ud800", "\0", cursor[:-3], cursor[1:], cursor + "A", " " + cursor,
        "A" * 10_000, base64.urlsafe_b64encode(b"[" * 5000).decode(),
        forged(None), forged([None, "n1"]), forged([True, "n1"]), forged([1.5, "n1"]),
        forged([2**63, "n1"]), forged([10**400, "n1"]), forged([1]), forged([1, 2]),
        forged([[1], "n1"]), forged([*decoded[1], 1]),
        forged(["\ud800", "n1"]), forged([1, "\ud800"]), forged({"order": 1}),
        forged([1, "/"]), forged([1, "../x"]), forged([1, ""]), forged(["\0", "\0"]), forged([1, "."]),
        forged([1, "a/b/c"]), forged([1, "%"]), forged([1, "__id7__"]), forged([1, "x" * 1501]),
    ]  # fmt: skip
    deep = [
        b'["a",["b","c"],' + b"[" * 1500,
        b'["a",["b","c",' + b"[" * 1500,
        b'["a",["b","c"],{"a":' + b'{"a":' * 5000,
        b'["a",["b","c"],' + b"[" * 5000 + b"]" * 5001,
    ]
    broken += [base64.urlsafe_b64encode(raw).decode().rstrip("=") for raw in deep]
    for text in broken:
        with pytest.raises(ValueError, match="cursor"):
            await scope.query(OLDEST, cursor=text)
