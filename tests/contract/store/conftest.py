"""Every case of this folder runs on every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.store import Scope, Store
from tests.contract.store.harness import Harness, SqliteHarness


@pytest.fixture(params=[SqliteHarness], ids=["sqlite"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    made: Harness = request.param(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def store(harness: Harness) -> Store:
    return harness.open()


@pytest.fixture
def scope(store: Store) -> Scope:
    return store.tenant("t")
