"""Firestore that is stopped, cut off, half dead or reset: bounded refusals, and nothing counted twice."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress

import pytest

from local.ports import HOST, Reservation
from shared.errors import Unavailable
from shared.ids import new_id
from shared.store import Add, Create, Delete, Scope, Store
from shared.store.firestore import FirestoreStore
from tests import emulators
from tests.contract.store.harness import BY_ID, OLDEST, QUERIES, marker, names, warm
from tests.emulators import Running
from tests.fault_proxy import Fault, FaultProxy, fault_proxy

pytestmark = pytest.mark.anyio

TO_REFUSE_SECONDS = 2.0
TO_HEAL_SECONDS = 5.0
FAULTS = {
    Fault.LOST_REPLIES: 10,
    Fault.LOST_REQUESTS: 5,
    Fault.RESET: 5,
    Fault.BLACKHOLE: 3,
    Fault.HALF_DEAD: 1,
}
"""How often each comes; after the last, a connection is of no use for most of a second."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One of its own, which may be stopped."""
    with emulators.firestore(tmp_path_factory.mktemp("firestore")) as running:
        asyncio.run(warm(running.host))
        yield running


@pytest.fixture
async def proxy(emulator: Running) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(emulator.host) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: FaultProxy) -> AsyncIterator[Store]:
    """A database of its own, connected."""
    store = FirestoreStore("test", new_id("db").replace("_", "-"), QUERIES, emulator_host=proxy.address)
    await store.commit(marker(store))
    yield store
    await store.close()


@pytest.fixture
def scope(store: Store) -> Scope:
    return store.tenant("t")


async def refused(call: Awaitable[object]) -> float:
    """How long it took."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await call
    return time.monotonic() - began


def calls(store: Store) -> list[Awaitable[object]]:
    scope = store.tenant("t")
    key = scope.key("things", new_id("x"))
    return [
        store.read(key),
        store.read(key, scope.key("things", "y")),
        scope.query(OLDEST),
        store.commit(Create(key, {"n": 1}), Add(scope.key("things", "sum"), {"n": 1})),
        store.commit(Add(scope.key("things", "sum"), {"n": 2**50}), marker(store)),
        store.commit(Delete(key)),
    ]


async def heals(store: Store) -> float:
    began = time.monotonic()
    while True:
        with suppress(Unavailable):
            await store.commit(marker(store))
            await store.tenant("t").get("things", "x")
            return time.monotonic() - began


async def test_a_stopped_emulator_is_unavailable_within_two_seconds_and_heals_within_five(
    emulator: Running, store: Store
) -> None:
    """D1."""
    emulator.signal(signal.SIGSTOP)
    try:
        first = await asyncio.gather(*map(refused, calls(store)))
        again = await asyncio.gather(*(refused(call) for _ in range(5) for call in calls(store)))
    finally:
        emulator.signal(signal.SIGCONT)
    assert max(first) <= TO_REFUSE_SECONDS
    assert max(again) <= TO_REFUSE_SECONDS
    assert await heals(store) <= TO_HEAL_SECONDS


async def test_a_store_that_never_was_connected_is_refused_as_fast(
    emulator: Running, proxy: FaultProxy
) -> None:
    proxy.fault = Fault.BLACKHOLE
    store = FirestoreStore("test", "never", QUERIES, emulator_host=proxy.address)
    assert max(await asyncio.gather(*map(refused, calls(store)))) <= TO_REFUSE_SECONDS
    proxy.fault = Fault.NONE
    assert await heals(store) <= TO_HEAL_SECONDS
    await store.close()


async def test_all_that_come_first_share_one_connection(proxy: FaultProxy) -> None:
    store = FirestoreStore("test", "first", QUERIES, emulator_host=proxy.address)
    await asyncio.gather(*(store.tenant("t").get("things", str(number)) for number in range(40)))
    assert proxy.connections == 1
    await store.close()


async def test_where_nobody_listens_it_is_refused_at_once() -> None:
    """D2."""
    port = Reservation.take()
    try:
        store = FirestoreStore("test", "nobody", QUERIES, emulator_host=f"{HOST}:{port.port}")
        await asyncio.gather(*map(refused, calls(store)))
        taken = [await refused(call) for call in calls(store)]
        await store.close()
    finally:
        port.release()
    assert max(taken) <= 0.1


async def test_a_connection_that_has_gone_half_dead_is_given_up_for_a_new_one(
    proxy: FaultProxy, store: Store, scope: Scope
) -> None:
    """What was sent on it happened: the commit is recognised on the next connection, and counted once."""
    proxy.fault = Fault.HALF_DEAD
    commit = asyncio.create_task(
        store.commit(Create(scope.key("things", "x"), {"n": 1}), Add(scope.key("things", "sum"), {"n": 5}))
    )
    await asyncio.sleep(0.3)
    proxy.fault = Fault.NONE
    (version, _) = await commit
    docs = await store.read(scope.key("things", "x"), scope.key("things", "sum"))
    assert [doc and doc.body for doc in docs] == [{"n": 1}, {"n": 5}]
    assert docs[0] is not None
    assert docs[0].version == version


@pytest.mark.parametrize("fault", [Fault.BLACKHOLE, Fault.HALF_DEAD, Fault.RESET, Fault.LOST_REPLIES])
async def test_whatever_is_wrong_with_the_network_it_is_refused_in_time_and_heals_in_time(
    proxy: FaultProxy, store: Store, fault: Fault
) -> None:
    proxy.fault = fault
    outcomes = await asyncio.gather(*map(refused, calls(store)))
    assert max(outcomes) <= TO_REFUSE_SECONDS
    proxy.fault = Fault.NONE
    assert await heals(store) <= TO_HEAL_SECONDS


async def test_a_read_whose_connection_is_reset_is_made_again(
    proxy: FaultProxy, store: Store, scope: Scope
) -> None:
    await store.commit(Create(scope.key("things", "x"), {"n": 1}))
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: store.read(scope.key("things", "x")),
        lambda: scope.query(BY_ID),
    ]
    for read in reads:
        proxy.lost.clear()
        proxy.fault = Fault.LOST_REQUESTS
        reading = asyncio.ensure_future(read())
        await proxy.lost.wait()
        proxy.fault = Fault.NONE
        assert await reading


async def test_under_every_fault_in_turn_what_was_acknowledged_is_there_and_counted_once(
    proxy: FaultProxy,
) -> None:
    """P18: the counter equals the documents, whatever was lost on the way, and none that was promised is."""
    dice = random.Random(7)
    database = new_id("db").replace("_", "-")
    stores = [FirestoreStore("test", database, QUERIES, emulator_host=proxy.address) for _ in range(4)]
    acknowledged: set[str] = set()
    over = False

    async def write(store: Store, lane: str) -> None:
        scope = store.tenant("t")
        number = 0
        while not over:
            number += 1
            name = f"{lane}-{number}"
            counted = Add(scope.key("sums", "n"), {"n": 1})
            with suppress(Unavailable):
                await store.commit(Create(scope.key("things", name), {}), counted)
                acknowledged.add(name)

    async def meddle() -> None:
        nonlocal over
        for _ in range(50):
            (proxy.fault,) = dice.choices(list(FAULTS), list(FAULTS.values()))
            await asyncio.sleep(dice.uniform(0.001, 0.02))
            proxy.fault = Fault.NONE
            await asyncio.sleep(dice.uniform(0.01, 0.08))
        over = True

    lanes = (write(store, f"{number}-{lane}") for number, store in enumerate(stores) for lane in range(2))
    await asyncio.gather(meddle(), *lanes)
    await asyncio.sleep(0.2)  # what was sent last and given up may still arrive
    scope = stores[0].tenant("t")
    await heals(stores[0])
    found = await names(scope, BY_ID, limit=1000)
    total = await scope.get("sums", "n")
    for store in stores:
        await store.close()
    assert total is not None
    assert total.body == {"n": len(found)}
    assert acknowledged <= set(found)
    assert proxy.losses > 10
    assert len(acknowledged) > 50
