"""Every case of this folder runs on every implementation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.store import Scope, Store
from tests.contract.store.harness import FirestoreHarness, Harness, SqliteHarness, warm


@pytest.fixture(scope="session")
def warm_firestore(firestore_emulator: str) -> str:
    asyncio.run(warm(firestore_emulator))
    return firestore_emulator


@pytest.fixture(params=["sqlite", "firestore-emulator"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Harness:
    if request.param == "sqlite":
        return SqliteHarness(tmp_path)
    return FirestoreHarness(request.getfixturevalue("warm_firestore"))


@pytest.fixture
async def harness(made: Harness) -> AsyncIterator[Harness]:
    yield made
    await made.close()


@pytest.fixture
async def store(harness: Harness) -> Store:
    return harness.open()


@pytest.fixture
def scope(store: Store) -> Scope:
    return store.tenant("t")
