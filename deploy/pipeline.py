"""cloudbuild-functions.yaml as Cloud Build reads it: its steps with every substitution filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

FILE = Path(__file__).resolve().parent.parent / "cloudbuild-functions.yaml"
_TEMPLATE = re.compile(r"\$(?:\$|\{([A-Z_][A-Z0-9_]*)\}|([A-Z_][A-Z0-9_]*))")


class PipelineError(Exception):
    """What is wrong, in one line for a person."""


class Step(msgspec.Struct, frozen=True):
    """One container: `wait_for` are the ids of the steps that come before, empty for none."""

    id: str
    image: str
    wait_for: tuple[str, ...]
    command: tuple[str, ...]
    settings: dict[str, str]


def defaults(path: Path = FILE) -> dict[str, str]:
    """The substitutions as the file has them."""
    found: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))["substitutions"]
    return found


def load(given: Mapping[str, str], built_in: Mapping[str, str], path: Path = FILE) -> list[Step]:
    """The steps in the file's order. `given` as by `--substitutions`; `built_in`: PROJECT_ID and the like.

    Raises PipelineError where Cloud Build would refuse (MUST_MATCH): an unknown substitution.
    """
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = defaults(path)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise PipelineError(f"no substitution {', '.join(unknown)}; there are {', '.join(known)}")
    values = {**built_in, **known, **given}
    return [_step(step, values) for step in config["steps"]]


def _step(step: Mapping[str, Any], values: Mapping[str, str]) -> Step:
    settings = dict(filled(line, values).split("=", 1) for line in step.get("env", []))
    return Step(
        id=step["id"],
        image=filled(step["name"], values),
        wait_for=tuple(name for name in step["waitFor"] if name != "-"),
        command=(step["entrypoint"], *(filled(word, values) for word in step["args"])),
        settings=settings,
    )


def filled(text: str, values: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}` replaced, `$$` made `$`. Raises PipelineError for a name without a value."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        if name not in values:
            raise PipelineError(f"${name} is no substitution")
        return values[name]

    return _TEMPLATE.sub(value, text)
