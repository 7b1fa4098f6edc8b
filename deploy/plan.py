"""Prints what a deployment would run, step by step, with every name filled in. Needs no network, no account.

python -m deploy.plan [--project P] [--environment E] [--region R] [--set _NAME=value]
    [--again] [--bootstrap] [--lint]

What is not given is as cloudbuild-functions.yaml has it.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from deploy import lint, pipeline
from deploy.pipeline import PipelineError, Step
from deploy.rehearsal import Call, Rehearsal, RehearsalError, forms

WIDTH = 110


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    try:
        given = _given(options)
        steps = pipeline.load(given, _built_in(options.project))
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            rehearsal = Rehearsal(Path(folder))
            times = 2 if options.again or options.lint else 1
            runs = [_run(rehearsal, steps, options.project, given) for _ in range(times)]
    except (PipelineError, RehearsalError, OSError) as wrong:
        print(f"deploy.plan: {wrong}", file=sys.stderr)
        return 1
    setup, calls = runs[-1] if options.again else runs[0]
    if options.bootstrap:
        print("\n".join(_shown("deploy/bootstrap.sh", setup)))
    else:
        print("\n".join(shown(steps, calls)))
    return linted(call for run in runs for part in run for call in part) if options.lint else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.plan", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--project", default="my-project")
    parser.add_argument("--environment", help="the same as --set _ENVIRONMENT=…")
    parser.add_argument("--region", help="the same as --set _REGION=…")
    parser.add_argument(
        "--set", action="append", default=[], metavar="_NAME=VALUE", help="as --substitutions has it"
    )
    parser.add_argument("--again", action="store_true", help="as it is when everything is there already")
    parser.add_argument(
        "--bootstrap", action="store_true", help="deploy/bootstrap.sh instead of the pipeline"
    )
    parser.add_argument("--lint", action="store_true", help="let gcloud check every command, offline")
    return parser.parse_args(arguments)


def _given(options: argparse.Namespace) -> dict[str, str]:
    """Every substitution: the file's, over which goes what was asked for. Raises PipelineError."""
    asked = {"_ENVIRONMENT": options.environment, "_REGION": options.region}
    given = {name: value for name, value in asked.items() if value is not None}
    for text in options.set:
        name, _, value = text.partition("=")
        if given.get(name, value) != value:
            raise PipelineError(f"{name} is given as {given[name]} and as {value}")
        given[name] = value
    return pipeline.defaults() | given


def _built_in(project: str) -> dict[str, str]:
    return {"PROJECT_ID": project, "PROJECT_NUMBER": "123456789012", "SHORT_SHA": ""}


def _run(
    rehearsal: Rehearsal, steps: Sequence[Step], project: str, given: Mapping[str, str]
) -> tuple[list[Call], list[Call]]:
    """The preparation and the pipeline are for the same environment and region."""
    setup = rehearsal.bootstrap(project, given["_ENVIRONMENT"], given["_REGION"])
    return setup, rehearsal.pipeline(steps)


def shown(steps: Sequence[Step], calls: Iterable[Call]) -> Iterable[str]:
    """The pipeline for a person: a title for each step, below it what it called."""
    by_step = {step: list(found) for step, found in groupby(calls, key=lambda call: call.step)}
    for number, step in enumerate(steps, 1):
        after = f", after {', '.join(step.wait_for)}" if step.wait_for else ""
        yield from _shown(f"{number}. {step.id}{after}", by_step.get(step.id, []))


def _shown(title: str, calls: Iterable[Call]) -> Iterable[str]:
    yield f"# {title}"
    yield from (_wrapped(call.command) for call in calls)
    yield ""


def _wrapped(command: Sequence[str]) -> str:
    """One line where it fits, else a line for each flag; either can be pasted into a shell."""
    line = shlex.join(command)
    if len(line) <= WIDTH:
        return line
    lines: list[list[str]] = [[]]
    for word in command:
        if word.startswith("-"):
            lines.append([])
        lines[-1].append(word)
    return " \\\n  ".join(shlex.join(words) for words in lines)


def linted(calls: Iterable[Call]) -> int:
    """0 where gcloud accepts every command, 1 where it does not or there is none; says which on stderr."""
    commands = forms(call.command for call in calls)
    try:
        failures = lint.failures(commands)
    except lint.NoGcloud as missing:
        print(f"deploy.plan: nothing was linted: {missing}", file=sys.stderr)
        return 1
    print(
        "\n".join(failures) or f"{len(commands)} forms of commands, each as gcloud wants it", file=sys.stderr
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
