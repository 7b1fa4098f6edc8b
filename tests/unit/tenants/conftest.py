"""A world of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.tenants.world import World, standing_world


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncIterator[World]:
    async with standing_world(tmp_path) as world:
        yield world
