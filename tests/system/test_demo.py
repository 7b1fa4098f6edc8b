"""`make demo` does what the README promises."""

import re
import subprocess
import sys
from pathlib import Path

from tests.suite import REPOSITORY


def test_the_whole_story_is_told_and_every_check_holds(tmp_path: Path) -> None:
    """P18, T10: two tenants, a stream with duplicates, a kill, two closes, sign-ins, keys, what is ended."""
    data = tmp_path / "demo"
    command = [sys.executable, "-m", "local.demo", "--data-dir", str(data), "--seed", "7"]
    done = subprocess.run(  # noqa: S603 - our own module
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    told = re.search(r"(\d+) of (\d+) checks hold", done.stdout)
    assert told is not None
    assert told.group(1) == told.group(2)
    assert int(told.group(2)) >= 84
    assert "billing is back as process" in done.stdout
    report = (data / "report.html").read_text()
    assert f"All {told.group(2)} checks hold" in report
    assert "ACME-" in report
