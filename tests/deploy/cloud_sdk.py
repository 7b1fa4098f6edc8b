"""The installed Google Cloud SDK, where a test asks Google's code what it thinks of ours. Never online."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import lint
from deploy.lint import NoGcloud

LINT = """
import json, sys
from googlecloudsdk import gcloud_main
from surface.meta import lint_gcloud_commands
cli = gcloud_main.CreateCLI([])
gcloud_main.CreateCLI = lambda surfaces: cli
verdicts = {}
class Linter(lint_gcloud_commands.GenerateCommand):
    def _store_validation_results(self, success, command, ref_id, args=None, why=None, kind=None):
        verdicts[command] = None if success else why
object.__new__(Linter)._validate_commands_from_file(sys.argv[1])
print(json.dumps(verdicts))
"""
"""gcloud's own linter, which loads all of gcloud anew for each command and describes it, but for that."""


def missing(why: str) -> None:
    """Skips the test; with REQUIRE_EMULATORS=1 it fails instead."""
    if os.environ.get("REQUIRE_EMULATORS") == "1":
        pytest.fail(f"REQUIRE_EMULATORS=1, but {why}", pytrace=False)
    pytest.skip(f"without Google's Cloud SDK: {why}")


def refused(commands: list[tuple[str, ...]], home: Path) -> list[str]:
    """A line for each command that gcloud would not accept, by the code that `deploy.lint` runs."""
    file = home / "commands.json"
    file.write_text(json.dumps([{"command_string": shlex.join(command)} for command in commands]))
    verdicts = asked(LINT, str(file), home=home)
    assert len(verdicts) == len({shlex.join(command) for command in commands})
    return [f"{command}: {why}" for command, why in verdicts.items() if why is not None]


def linted(commands: list[tuple[str, ...]]) -> list[str]:
    """What `deploy.lint` says, which takes three times as long."""
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
