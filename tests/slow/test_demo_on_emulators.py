"""`make demo BACKEND=gcp`, as a person would see it."""

import os
import subprocess
import sys
from pathlib import Path

from tests import emulators
from tests.suite import REPOSITORY


def test_the_story_comes_true_on_the_emulators_with_its_payment(tmp_path: Path) -> None:
    emulators.installed()
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "local.demo", "--data-dir", str(tmp_path / "demo"), "--seed", "7"],
        cwd=REPOSITORY,
        env={**os.environ, "BACKEND": "gcp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "✗" not in done.stdout
    assert "becomes: paid" in done.stdout
