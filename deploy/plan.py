"""Prints what a deployment would run, step by step, with every name filled in. Needs no network, no account.

python -m deploy.plan [--project P] [--environment production] [--region us-central1] [--set _NAME=value]
    [--again] [--bootstrap] [--lint]
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from deploy import lint, pipeline
from deploy.pipeline import PipelineError, Step
from deploy.rehearsal import Call, Rehearsal, RehearsalError, forms

WIDTH = 110


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    try:
        steps = _steps(options)
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            rehearsal = Rehearsal(Path(folder))
            times = 2 if options.again or options.lint else 1
            runs = [_run(rehearsal, steps, options) for _ in range(times)]
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
    parser = argparse.ArgumentParser(prog="deploy.plan", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--project", default="my-project")
    parser.add_argument("--environment", default="production")
    parser.add_argument("--region", default="us-central1")
    parser.add_argument(
        "--set", action="append", default=[], metavar="_NAME=VALUE", help="as --substitutions has it"
    )
    parser.add_argument("--again", action="store_true", help="as it is when everything is there already")
    parser.add_argument(
        "--bootstrap", action="store_true", help="deploy/bootstrap.sh instead of the pipeline"
    )
    parser.add_argument("--lint", action="store_true", help="let gcloud check every command, offline")
    return parser.parse_args(arguments)


def _steps(options: argparse.Namespace) -> list[Step]:
    given = {"_ENVIRONMENT": options.environment, "_REGION": options.region}
    given |= dict(text.split("=", 1) if "=" in text else (text, "") for text in options.set)
    built_in = {"PROJECT_ID": options.project, "PROJECT_NUMBER": "123456789012", "SHORT_SHA": ""}
    return pipeline.load(given, built_in)


def _run(
    rehearsal: Rehearsal, steps: Sequence[Step], options: argparse.Namespace
) -> tuple[list[Call], list[Call]]:
    setup = rehearsal.bootstrap(options.project, options.environment, options.region)
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
