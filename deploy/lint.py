"""Google's linter for gcloud commands: it parses them as gcloud would, without network or account."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

_SECONDS = 120.0


class NoGcloud(Exception):
    """There is no gcloud that could lint."""


class _Verdict(msgspec.Struct, frozen=True):
    """The exit code is always 0: only `success` counts."""

    command_string: str
    success: bool
    error_message: str | None


def failures(commands: Iterable[Sequence[str]]) -> list[str]:
    """A line for each command that gcloud would not accept. Raises NoGcloud.

    Values of --memory, --runtime and the like are not looked at by gcloud itself.
    """
    unique = sorted({shlex.join(command) for command in commands})
    with tempfile.TemporaryDirectory(prefix="gcloud-lint-") as folder:
        verdicts = _lint(unique, Path(folder))
    found = [
        f"{verdict.command_string}: {verdict.error_message}" for verdict in verdicts if not verdict.success
    ]
    if len(verdicts) != len(unique):
        found.append(f"gcloud has a verdict on {len(verdicts)} of {len(unique)} commands")
    return found


def _lint(commands: list[str], folder: Path) -> list[_Verdict]:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise NoGcloud("there is no gcloud on the PATH: install the Google Cloud SDK")
    file = folder / "commands.json"
    file.write_bytes(msgspec.json.encode([{"command_string": command} for command in commands]))
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(folder / "config"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_PROJECT": "my-project",
    }
    done = subprocess.run(  # noqa: S603 - found on the PATH
        [gcloud, "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        env=environment,
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    try:
        return msgspec.json.decode(done.stdout, type=list[_Verdict])
    except msgspec.DecodeError as unexpected:
        said = done.stderr.decode(errors="replace").strip()
        raise NoGcloud(f"this gcloud does not lint: {said or unexpected}") from unexpected
