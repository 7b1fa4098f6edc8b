"""Auth's keys in Secret Manager: made once by many at once, and no start without them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from google.cloud.secretmanager_v1 import types

from functions.auth.keyring.key_rings import (
    API_KEY_SECRET,
    FACTOR_SECRET,
    LINK_SECRET,
    REFRESH_SECRET,
    SIGNING_SECRET,
)
from functions.auth.keyring.keys import KeyRoom
from local.google.secret_manager.server import SecretManagerServer
from shared.errors import Unavailable
from shared.secrets import SecretUnusable
from shared.secrets.cached import CachedSecrets
from shared.secrets.secret_manager import SecretManager
from shared.store.sqlite import SqliteStore
from tests.tokens import Time

pytestmark = pytest.mark.anyio

NAMES = (SIGNING_SECRET, REFRESH_SECRET, LINK_SECRET, API_KEY_SECRET, FACTOR_SECRET)
ACCESS = "AccessSecretVersion"


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    server = SecretManagerServer(clock=Time())
    yield server
    server.stop()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db", ())
    yield store
    await store.close()


def _instance(server: SecretManagerServer, store: SqliteStore) -> KeyRoom:
    secrets = SecretManager("p", prefix="energent-test-", emulator_host=server.host)
    return KeyRoom(store, CachedSecrets(secrets, Time()), Time())


async def test_many_instances_that_start_at_once_end_up_with_the_same_keys(
    server: SecretManagerServer, store: SqliteStore
) -> None:
    """S1: the losers' keys are destroyed."""
    found = await asyncio.gather(*(_instance(server, store).current() for _ in range(8)))
    assert len({keys.jwks for keys in found}) == 1
    for name in NAMES:
        parent = f"projects/p/secrets/energent-test-{name}"
        versions = server.service.list_secret_versions(types.ListSecretVersionsRequest(parent=parent))
        states = [version.state.name for version in versions.versions]
        assert states.count("ENABLED") == 1
        assert set(states) <= {"ENABLED", "DESTROYED"}
    assert (await _instance(server, store).current()).jwks == found[0].jwks


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", ["disabled", "destroyed"])
async def test_no_instance_starts_without_a_key_and_the_key_is_named(
    server: SecretManagerServer, store: SqliteStore, name: str, state: str
) -> None:
    """S1."""
    await _instance(server, store).current()
    version = {"name": f"projects/p/secrets/energent-test-{name}/versions/1"}
    if state == "disabled":
        server.service.disable_secret_version(types.DisableSecretVersionRequest(version))
    else:
        server.service.destroy_secret_version(types.DestroySecretVersionRequest(version))
    with pytest.raises(SecretUnusable, match=f"secret {name} version 1 is {state}"):
        await _instance(server, store).current()


async def test_no_instance_starts_in_an_outage_and_the_next_try_does(
    server: SecretManagerServer, store: SqliteStore
) -> None:
    """D6 S1."""
    room = _instance(server, store)
    await room.current()
    room = _instance(server, store)
    server.refuse(ACCESS, grpc.StatusCode.UNAVAILABLE, times=3)
    with pytest.raises(Unavailable):
        await room.current()
    await room.current()
