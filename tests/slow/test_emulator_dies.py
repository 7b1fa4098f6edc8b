"""The end of an emulator is the end of the run."""

import os
import signal
from pathlib import Path

from tests import suite as suites


def test_an_emulator_that_dies_ends_the_run_and_says_what_is_lost(tmp_path: Path) -> None:
    with suites.running(tmp_path, backend="gcp") as started:
        os.killpg(started.pids["firestore"], signal.SIGKILL)
        assert started.runner.wait(30) == 1
    said = (tmp_path / "runner.out").read_text()
    assert "firestore was killed by SIGKILL, and what it kept in its memory is gone." in said
