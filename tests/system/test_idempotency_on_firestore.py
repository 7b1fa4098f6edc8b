"""Idempotency-Key on Firestore: instances that know nothing of each other, one thing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.ids import new_id
from shared.store import Delete, Store
from shared.store.firestore import FirestoreStore
from tests.contract.store.harness import warm
from tests.tokens import Time
from tests.unit.http.things import QUERIES, Instance, Pause, SteppedStore, names, records, replayed

pytestmark = pytest.mark.anyio

DAY = 24 * 3600
BODIES = [{"name": "a"}, {"name": "a", "unique": True}]
IDS = ["the record is in the way", "its own name is in the way"]


@pytest.fixture(params=["firestore-emulator"])
async def store(firestore_emulator: str) -> AsyncIterator[Store]:
    await warm(firestore_emulator)
    project = new_id("p")[:20].replace("_", "-")
    store = FirestoreStore(project, "(default)", QUERIES, emulator_host=firestore_emulator)
    yield store
    await store.close()


@pytest.mark.parametrize("body", BODIES, ids=IDS)
async def test_of_64_at_once_over_eight_instances_one_makes_the_thing(
    store: Store, body: dict[str, Any]
) -> None:
    instances = [Instance(store, Time()) for _ in range(8)]
    answers = await asyncio.gather(*(instances[n % 8].post("key-1", body) for n in range(64)))

    made = [answer for answer in answers if answer.status == 201]
    early = {(answer.status, answer.code) for answer in answers if answer.status != 201}
    assert early <= {(409, "idempotency_key_in_use")}
    assert len({answer.json()["id"] for answer in made}) == 1
    assert [replayed(answer) for answer in made].count(False) == 1
    assert await names(store) == ["a"]
    assert len(await records(store)) == 1


@pytest.mark.parametrize("body", BODIES, ids=IDS)
@pytest.mark.parametrize("expired", [False, True], ids=["new key", "expired key"])
async def test_who_is_late_gets_the_winners_answer(store: Store, body: dict[str, Any], expired: bool) -> None:
    clock, pause = Time(), Pause("before commit")
    if expired:
        await Instance(store, clock).post("key-1", {"name": "yesterday"})
        clock.move(DAY)
    late = asyncio.create_task(Instance(SteppedStore(store, pause), clock).post("key-1", body))
    await pause.reached.wait()
    winner = await Instance(store, clock).post("key-1", body)
    pause.go.set()
    loser = await late

    assert (winner.status, replayed(winner)) == (201, False)
    assert (loser.status, loser.json()["id"], replayed(loser)) == (201, winner.json()["id"], True)
    assert (await names(store)).count("a") == 1


async def test_an_expired_record_that_firestore_deletes_meanwhile_is_made_anew(store: Store) -> None:
    clock, pause = Time(), Pause("before commit")
    await Instance(store, clock).post("key-1")
    clock.move(DAY)
    anew = asyncio.create_task(Instance(SteppedStore(store, pause), clock).post("key-1"))
    await pause.reached.wait()
    await store.commit(*(Delete(record.key) for record in await records(store)))
    pause.go.set()

    assert ((await anew).status, replayed(await anew)) == (201, False)
    assert len(await records(store)) == 1
