"""Many at once on one document: exactly one wins, and nothing is counted twice or lost."""

import asyncio
import random

import pytest

from shared.store import (
    Add,
    AlreadyExists,
    Create,
    Doc,
    Replace,
    Scope,
    Stale,
    Store,
    StoreError,
    Update,
    Version,
    Write,
    until_not_stale,
)
from tests.contract.store.harness import Harness, marker

pytestmark = pytest.mark.anyio

CONTENDERS = 64


async def outcome(store: Store, *writes: Write) -> list[Version | None] | StoreError:
    try:
        return await store.commit(*writes)
    except StoreError as refusal:
        return refusal


async def found(scope: Scope, *segments: str) -> Doc:
    doc = await scope.get(*segments)
    assert doc is not None
    return doc


async def test_of_64_replaces_of_one_version_exactly_one_wins_and_the_others_are_stale(
    harness: Harness, store: Store, scope: Scope
) -> None:
    stores = [store, harness.open()]
    key = scope.key("things", "hot")
    await store.commit(Create(key, {"winner": -1}))
    for _ in range(5):
        before = await found(scope, "things", "hot")
        outcomes = await asyncio.gather(
            *(
                outcome(stores[i % 2], Replace(key, {"winner": i}, before.version), marker(store))
                for i in range(CONTENDERS)
            )
        )
        winners = [i for i, result in enumerate(outcomes) if isinstance(result, list)]
        after = await found(scope, "things", "hot")
        assert len(winners) == 1
        assert after.body == {"winner": winners[0]}
        assert after.version != before.version
        assert sum(isinstance(result, Stale) for result in outcomes) == CONTENDERS - 1


async def test_of_64_writes_that_change_nothing_exactly_one_wins(store: Store, scope: Scope) -> None:
    key = scope.key("things", "same")
    await store.commit(Create(key, {"value": 1}))
    before = await found(scope, "things", "same")
    kinds = (Replace(key, {"value": 1}, before.version), Update(key, {}, before.version))
    outcomes = await asyncio.gather(*(outcome(store, kinds[i % 2], marker(store)) for i in range(CONTENDERS)))
    assert sum(isinstance(result, list) for result in outcomes) == 1
    assert sum(isinstance(result, Stale) for result in outcomes) == CONTENDERS - 1


async def test_64_tasks_that_read_and_replace_until_not_stale_end_at_the_exact_value(
    harness: Harness, store: Store
) -> None:
    """Where each round takes long, one of them wins it, and who has lost thirty is told so."""
    stores = [store, harness.open()]
    await store.commit(Create(store.tenant("t").key("things", "counter"), {"value": 0}))

    async def count_up(own: Store) -> None:
        before = await found(own.tenant("t"), "things", "counter")
        body = {"value": before.body["value"] + 1}
        await own.commit(Replace(before.key, body, before.version), marker(own))

    def counting(own: Store) -> asyncio.Task[None]:
        return asyncio.create_task(until_not_stale(lambda: count_up(own)))

    tasks = (counting(stores[i % 2]) for i in range(CONTENDERS))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert {getattr(outcome, "code", outcome) for outcome in refused} <= {"contention"}
    assert len(refused) <= CONTENDERS - 30
    assert (await found(store.tenant("t"), "things", "counter")).body == {"value": CONTENDERS - len(refused)}


async def test_of_64_creates_of_one_document_exactly_one_wins_and_the_others_learn_its_key(
    harness: Harness, store: Store, scope: Scope
) -> None:
    stores = [store, harness.open()]
    for round_ in range(3):
        key = scope.key("things", f"new-{round_}")
        outcomes = await asyncio.gather(
            *(outcome(stores[i % 2], Create(key, {"winner": i})) for i in range(CONTENDERS))
        )
        winners = [i for i, result in enumerate(outcomes) if isinstance(result, list)]
        losers = [result.key for result in outcomes if isinstance(result, AlreadyExists)]
        assert len(winners) == 1
        assert losers == [key] * (CONTENDERS - 1)
        assert (await found(scope, *("things", f"new-{round_}"))).body == {"winner": winners[0]}


async def test_adds_from_everywhere_are_all_counted(harness: Harness, store: Store, scope: Scope) -> None:
    stores = [store, harness.open()]
    key = scope.key("things", "sum")
    await asyncio.gather(
        *(stores[i % 2].commit(Add(key, {"n": i, "one": 1}), marker(store)) for i in range(CONTENDERS))
    )
    assert (await found(scope, "things", "sum")).body == {
        "n": sum(range(CONTENDERS)),
        "one": CONTENDERS,
    }


async def test_large_adds_from_everywhere_are_all_counted_too(
    harness: Harness, store: Store, scope: Scope
) -> None:
    """A store may have to read before it counts what could leave 64 bits."""
    stores = [store, harness.open()]
    key = scope.key("things", "sum")
    amount = 2**58
    await asyncio.gather(*(stores[i % 2].commit(Add(key, {"n": amount}), marker(store)) for i in range(8)))
    assert (await found(scope, "things", "sum")).body == {"n": 8 * amount}


async def test_a_commit_whose_caller_goes_away_happens_whole_or_not_at_all(
    store: Store, scope: Scope
) -> None:
    chance = random.Random(5)
    key = scope.key("sums", "n")

    async def given_up(number: int) -> None:
        created = Create(scope.key("things", f"n{number}"), {})
        commit = asyncio.ensure_future(store.commit(created, Add(key, {"n": 1})))
        await asyncio.sleep(chance.uniform(0, 0.01))
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)

    await asyncio.gather(*(given_up(number) for number in range(CONTENDERS)))
    await asyncio.sleep(0.2)
    await store.commit(Create(scope.key("things", "last"), {}), Add(key, {"n": 1}))
    sums, *things = await store.read(
        key, *(scope.key("things", f"n{number}") for number in range(CONTENDERS))
    )
    assert sums is not None
    assert sums.body == {"n": 1 + sum(doc is not None for doc in things)}


async def test_a_stale_commit_does_not_hurt_those_that_go_in_beside_it(store: Store, scope: Scope) -> None:
    key = scope.key("things", "pivot")
    (version,) = await store.commit(Create(key, {}))
    assert version is not None
    outcomes = await asyncio.gather(
        *(
            outcome(
                store, Create(scope.key("things", f"n{i}"), {}), *([Replace(key, {}, "no")] if i % 2 else [])
            )
            for i in range(40)
        )
    )
    assert [isinstance(result, Stale) for result in outcomes] == [bool(i % 2) for i in range(40)]
    docs = await store.read(*(scope.key("things", f"n{i}") for i in range(40)))
    assert [doc is None for doc in docs] == [bool(i % 2) for i in range(40)]
