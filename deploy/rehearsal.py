"""Runs the pipeline's steps with stand-ins for gcloud, curl and Python, and says what they called."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from deploy.pipeline import Step

ROOT = Path(__file__).resolve().parent.parent
STAND_INS = ROOT / "deploy" / "rehearsal.bash"
_FIELD, _RECORD = "\x1f", "\x1e"


class RehearsalError(Exception):
    """A step that failed, with what it said."""


class Call(msgspec.Struct, frozen=True):
    """One command of a step. `place` is where it was called from, `file:line`."""

    step: str
    place: str
    command: tuple[str, ...]


def forms(commands: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of gcloud's commands, one for each kind and set of flags: those alike but for a name are one."""
    found: dict[tuple[tuple[str, ...], frozenset[str]], tuple[str, ...]] = {}
    for command in commands:
        if command[0] == "gcloud":
            flags = frozenset(word.partition("=")[0] for word in command if word.startswith("-"))
            words = tuple(word for word in command if not word.startswith("-"))
            found.setdefault((words[:-1], flags), command)
    return list(found.values())


class Rehearsal:
    """One imaginary project in `folder`: what a run makes is there for the next one."""

    def __init__(self, folder: Path, stand_ins: Path = STAND_INS) -> None:
        self._folder = folder
        self._stand_ins = stand_ins
        self._workspace = folder / "workspace"
        self._workspace.mkdir(parents=True, exist_ok=True)
        for name in ("deploy", "api-spec.yaml"):
            if not (self._workspace / name).exists():
                (self._workspace / name).symlink_to(ROOT / name)

    def pipeline(self, steps: Iterable[Step]) -> list[Call]:
        """Every step, in the file's order. Raises RehearsalError."""
        return [call for step in steps for call in self._run(step.id, step.command, step.settings)]

    def bootstrap(self, project: str, environment: str, region: str) -> list[Call]:
        """deploy/bootstrap.sh. Raises RehearsalError."""
        settings = {"PROJECT_ID": project, "ENVIRONMENT": environment, "REGION": region}
        return self._run("bootstrap", ("bash", "deploy/bootstrap.sh"), settings)

    def _run(self, step: str, command: tuple[str, ...], settings: dict[str, str]) -> list[Call]:
        record = self._folder / "calls"
        record.unlink(missing_ok=True)
        stand_ins = {
            "BASH_ENV": str(self._stand_ins),
            "REHEARSAL": str(self._folder),
            "REHEARSAL_PYTHON": sys.executable,
        }
        done = subprocess.run(  # noqa: S603 - our own scripts
            command,
            cwd=self._workspace,
            env={"PATH": os.defpath, **settings, **stand_ins},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RehearsalError(f"{step} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        text = record.read_text(encoding="utf-8") if record.exists() else ""
        return [_call(step, one.split(_FIELD)) for one in text.split(_RECORD) if one]


def _call(step: str, fields: list[str]) -> Call:
    return Call(step, fields[0], tuple(fields[1:]))
