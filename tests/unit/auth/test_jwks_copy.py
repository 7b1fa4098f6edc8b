"""The copy of the public keys: what the ring says, whatever fails, whoever else writes."""

import json
from pathlib import Path

import pytest

from functions.auth import records
from functions.auth.domain.key_ring import KeyRing, RingKey
from functions.auth.keyring.jwks_copy import CACHE_CONTROL, CONTENT_TYPE, NAME, JwksCopy
from shared import keyring
from shared.errors import Misconfigured, Unavailable
from shared.objects import Object, ObjectExists
from shared.objects.files import FileObjects
from shared.outbox import Outbox
from shared.store import Create, Doc, Key, Store
from shared.store.bodies import from_body
from shared.store.sqlite import SqliteStore
from tests.tokens import NOW, SignerKey
from tests.unit.auth.suite import Suite, WatchedStore

pytestmark = pytest.mark.anyio


class WatchedObjects:
    """Passes on; counts writes, and can fail, or do something before it writes."""

    def __init__(self, inner: FileObjects) -> None:
        self.inner = inner
        self.writes: list[str] = []
        self.failures: list[Exception] = []
        self.before_write: list[tuple[str, bytes]] = []

    async def create(self, name: str, data: bytes, content_type: str, *, cache_control: str = "") -> int:
        await self._writing("create", cache_control)
        return await self.inner.create(name, data, content_type)

    async def replace(
        self, name: str, data: bytes, content_type: str, if_generation: int, *, cache_control: str = ""
    ) -> int:
        await self._writing("replace", cache_control)
        return await self.inner.replace(name, data, content_type, if_generation)

    async def get(self, name: str) -> Object | None:
        if self.failures and isinstance(self.failures[0], Unavailable):
            raise self.failures.pop(0)
        return await self.inner.get(name)

    async def close(self) -> None:
        pass

    async def _writing(self, kind: str, cache_control: str) -> None:
        assert cache_control == CACHE_CONTROL
        self.writes.append(kind)
        if self.failures:
            raise self.failures.pop(0)
        if self.before_write:
            await write(self.inner, *self.before_write.pop(0))


async def write(objects: FileObjects, name: str, data: bytes) -> None:
    found = await objects.get(name)
    if found is None:
        await objects.create(name, data, CONTENT_TYPE)
    else:
        await objects.replace(name, data, CONTENT_TYPE, found.generation)


async def add_key(store: Store) -> None:
    """As a rotation would: one more key in the ring."""
    doc = (await store.read(keyring.key(store)))[0]
    assert doc is not None
    other = SignerKey()
    key = RingKey(kid=other.kid, state="pending", secret_version=9, created_at=NOW, public=other.jwk)
    ring = KeyRing((*from_body(doc.body, KeyRing).keys, key))
    marker = Create(store.platform().key("keyring", f"marker-{len(ring.keys)}"), {})
    await store.commit(marker, records.Found(doc.key, ring, doc.version).replace(ring))


@pytest.fixture
def objects(suite: Suite) -> WatchedObjects:
    return WatchedObjects(suite.objects)


@pytest.fixture
def copy(suite: Suite, objects: WatchedObjects) -> JwksCopy:
    return JwksCopy(suite.publishing, objects)


async def copied_keys(suite: Suite) -> int:
    found = await suite.objects.get(NAME)
    return len(json.loads(found.data)["keys"]) if found else 0


async def test_the_copy_is_what_auth_itself_publishes_and_is_written_once(
    suite: Suite, objects: WatchedObjects, copy: JwksCopy
) -> None:
    for _ in range(3):
        await copy.refresh()
    assert await suite.objects.get(NAME) == Object(suite.jwks, "application/json", 1)
    assert objects.writes == ["create"]
    assert "max-age=300" in CACHE_CONTROL


async def test_a_new_key_in_the_ring_is_copied_and_a_foreign_copy_is_written_over(
    suite: Suite, objects: WatchedObjects, copy: JwksCopy
) -> None:
    """J34."""
    await copy.refresh()
    await add_key(suite.store.inner)
    await copy.refresh()
    assert await copied_keys(suite) == 2
    await write(suite.objects, NAME, b'{"keys":[]}')
    await copy.refresh()
    assert await copied_keys(suite) == 2
    assert objects.writes == ["create", "replace", "replace"]


async def test_a_sweep_brings_the_copy_up_to_date(suite: Suite) -> None:
    await suite.deliver("outbox.sweep", None)
    assert await copied_keys(suite) == 1


async def test_a_sweep_brings_the_copy_up_to_date_though_events_cannot_leave(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Outbox) -> int:
        raise Unavailable("bus_unavailable", "The bus did not answer.")

    monkeypatch.setattr(Outbox, "sweep", fail)
    with pytest.raises(Unavailable):
        await suite.deliver("outbox.sweep", None)
    assert await copied_keys(suite) == 1


@pytest.mark.parametrize("moment", ["after the ring was read", "before the copy is written"])
async def test_an_older_ring_is_never_written_over_a_newer_one(suite: Suite, moment: str) -> None:
    """While this process is at it, another one rotates and copies."""
    await write(suite.objects, NAME, b"{}")
    newer = JwksCopy(suite.publishing, suite.objects)
    rotations: list[str] = []

    async def rotate() -> None:
        if not rotations:
            rotations.append(moment)
            await add_key(suite.store.inner)
            await newer.refresh()

    class SlowStore(WatchedStore):
        async def read(self, *keys: Key) -> list[Doc | None]:
            found = await super().read(*keys)
            if moment.startswith("after"):
                await rotate()
            return found

    class SlowObjects(WatchedObjects):
        async def _writing(self, kind: str, cache_control: str) -> None:
            await super()._writing(kind, cache_control)
            await rotate()

    slow = SlowObjects(suite.objects)
    await JwksCopy(SlowStore(suite.store.inner), slow).refresh()
    assert (rotations, slow.writes) == ([moment], ["replace"])
    assert await copied_keys(suite) == 2


async def test_two_who_make_the_first_copy_at_once_agree(
    suite: Suite, objects: WatchedObjects, copy: JwksCopy
) -> None:
    objects.before_write = [(NAME, suite.jwks)]
    await copy.refresh()
    assert await suite.objects.get(NAME) == Object(suite.jwks, CONTENT_TYPE, 1)


@pytest.mark.parametrize(
    "failure", [Unavailable("objects_unavailable", "Out."), Misconfigured("bucket x", "Forbidden")]
)
async def test_a_bucket_that_is_out_or_forbidden_stops_nothing_and_the_next_sweep_copies(
    suite: Suite,
    objects: WatchedObjects,
    copy: JwksCopy,
    failure: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """D6."""
    objects.failures = [failure]
    await copy.refresh()
    assert await copied_keys(suite) == 0
    assert "the copy of the public keys is put off" in caplog.text
    await copy.refresh()
    assert await copied_keys(suite) == 1


async def test_a_writer_that_always_loses_gives_up_until_the_next_sweep(
    objects: WatchedObjects, copy: JwksCopy, caplog: pytest.LogCaptureFixture
) -> None:
    objects.failures = [ObjectExists(NAME) for _ in range(9)]
    await copy.refresh()
    assert objects.writes == ["create"] * 3
    assert "put off" in caplog.text


async def test_without_a_ring_there_is_nothing_to_copy(tmp_path: Path, objects: WatchedObjects) -> None:
    store = SqliteStore(tmp_path / "empty.db", ())
    await JwksCopy(store, objects).refresh()
    await store.close()
    assert objects.writes == []


async def test_a_store_that_is_out_stops_nothing(
    suite: Suite, objects: WatchedObjects, copy: JwksCopy
) -> None:
    suite.store.down = True
    await copy.refresh()
    assert objects.writes == []
