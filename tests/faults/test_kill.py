"""`kill -9` of every function, again and again, while tenants are made and usage streams in."""

from pathlib import Path

from tests import kills
from tests.suite import running

KILLS = 3
"""One of each function. More of them, on both backends, in tests/slow."""


def test_kills_change_no_total_and_lose_no_tenant(tmp_path: Path) -> None:
    """Retries so far apart that a message outlives several deaths of its function."""
    with running(tmp_path, "--retry-base-seconds", "0.6") as suite:
        assert kills.survive(suite, KILLS, seed=20) > KILLS * kills.MESSAGES_A_KILL
