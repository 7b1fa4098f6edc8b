"""The installed Google Cloud SDK, where a test asks Google's code what it thinks of ours. Never online."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import lint
from deploy.lint import NoGcloud


def missing(why: str) -> None:
    """Skips the test; with REQUIRE_EMULATORS=1 it fails instead."""
    if os.environ.get("REQUIRE_EMULATORS") == "1":
        pytest.fail(f"REQUIRE_EMULATORS=1, but {why}", pytrace=False)
    pytest.skip(f"without Google's Cloud SDK: {why}")


def refused(commands: list[tuple[str, ...]]) -> list[str]:
    """A line for each command that gcloud would not accept."""
    try:
        return lint.failures(commands)
    except NoGcloud as none:
        missing(str(none))
        return []


def asked(code: str, *arguments: str, home: Path) -> Any:
    """What `code` prints as JSON, run by the SDK's Python among the SDK's modules."""
    root = _root()
    bundled = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    done = subprocess.run(  # noqa: S603 - the SDK's own interpreter, our code
        [str(bundled if bundled.exists() else sys.executable), "-S", "-c", code, *arguments],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": f"{root}/lib:{root}/lib/third_party",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CLOUDSDK_CONFIG": str(home),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _root() -> Path:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        missing("there is no gcloud on the PATH")
    root = Path(gcloud or "").resolve().parent.parent
    if not (root / "lib" / "googlecloudsdk").is_dir():
        missing(f"{root} is not where gcloud's modules are")
    return root
