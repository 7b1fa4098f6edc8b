"""Every case on the port runs on every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.bus.harness import Harness, LocalHarness, PubSubHarness


@pytest.fixture(params=["local", "pubsub-emulator"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    made: Harness
    if request.param == "local":
        made = LocalHarness(tmp_path)
    else:
        made = PubSubHarness(request.getfixturevalue("pubsub_emulator"))
        await made.create_topics()
    yield made
    await made.close()
