"""A suite of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.auth.suite import Suite, running


@pytest.fixture
async def suite(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Suite]:
    async with running(tmp_path) as suite:
        yield suite
