"""The same deaths as in tests/faults, more of them, and on Google's emulators too."""

from pathlib import Path

import pytest

from tests import kills
from tests.suite import running

KILLS = {"embedded": 20, "gcp": 60}


@pytest.mark.parametrize("backend", KILLS)
def test_kills_change_no_total_and_lose_no_tenant(tmp_path: Path, backend: str) -> None:
    with running(tmp_path, "--retry-base-seconds", "0.6", backend=backend) as suite:
        assert kills.survive(suite, KILLS[backend], seed=60) > KILLS[backend] * kills.MESSAGES_A_KILL
