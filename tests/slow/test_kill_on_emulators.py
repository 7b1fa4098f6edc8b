"""The same deaths as in tests/faults, on Google's emulators and longer."""

from pathlib import Path

from tests import kills
from tests.suite import running

KILLS = 60


def test_sixty_kills_on_the_emulators_change_no_total_and_lose_no_tenant(tmp_path: Path) -> None:
    with running(tmp_path, "--retry-base-seconds", "0.6", backend="gcp") as suite:
        assert kills.survive(suite, KILLS, seed=60) > KILLS * kills.MESSAGES_A_KILL
