"""A world of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from shared import keyring
from shared.store import Create
from shared.store.bodies import to_body
from tests.tokens import SignerKey, ring, tenant
from tests.unit.tenants.operators import Operator
from tests.unit.tenants.world import World, standing_world


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncIterator[World]:
    async with standing_world(tmp_path) as world:
        yield world


@pytest.fixture
async def operator(world: World) -> AsyncIterator[Operator]:
    key = SignerKey()
    await world.plain_store.commit(Create(keyring.key(world.store), to_body(ring(key))))
    await world.put(msgspec.structs.replace(tenant("platform"), slug="platform"))
    made = Operator(world, key)
    yield made
    await made.client.aclose()
