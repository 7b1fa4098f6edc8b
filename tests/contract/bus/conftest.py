"""Every case on the port runs on every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.bus.harness import Harness, LocalHarness


@pytest.fixture(params=[LocalHarness], ids=["local"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    made: Harness = request.param(tmp_path)
    yield made
    await made.close()
