"""`python -m local.demo`: runs the story; exit code 0 when every check holds."""

import argparse
import asyncio
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.markup import escape

from local.demo import report
from local.demo.screen import Screen
from local.demo.story import Story
from local.demo.world import DemoFailed, NotStarted, running


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Runs the whole suite on free ports and tells a customer's life, checking every figure; "
        "exit code 0 when all of them hold. The environment variable BACKEND says on what, see local.run.",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".local-demo"), help="emptied first; default: %(default)s"
    )
    seed = random.randrange(10**6)  # noqa: S311 - dice
    parser.add_argument("--seed", type=int, default=seed, help="of the dice: a run's own repeats it")
    options = parser.parse_args()
    try:
        return asyncio.run(_run(options.data_dir, options.seed))
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.")
        return 130


async def _run(data_dir: Path, seed: int) -> int:
    screen = Screen(Console(highlight=False))
    screen.console.print(f"[bold]The suite on one machine[/]  seed {seed}, data in {data_dir}")
    page, stopped = "", ""
    try:
        async with running(data_dir) as world:
            story = Story(world, screen, random.Random(seed), datetime.now(UTC).date())  # noqa: S311 - dice
            page = await story.tell()
    except NotStarted as failure:
        screen.console.print(f"[bold red]The suite did not start.[/]\n{escape(str(failure))}")
        return 1
    except (DemoFailed, httpx.TransportError) as failure:
        stopped = str(failure) or type(failure).__name__
    return _verdict(screen, data_dir, page, stopped)


def _verdict(screen: Screen, data_dir: Path, page: str, stopped: str) -> int:
    path = data_dir / "report.html"
    report.write(path, screen, page)
    screen.console.print(f"\nReport with the invoice: {path.resolve()}", soft_wrap=True)
    if stopped:
        logs = data_dir / "logs"
        screen.console.print(
            f"[bold red]The story stopped: {escape(stopped)}[/]\nLogs: {logs}", soft_wrap=True
        )
    bad = bool(stopped or screen.failed or not screen.checks)
    held = len(screen.checks) - len(screen.failed)
    colour = "bold red" if bad else "bold green"
    screen.console.print(f"[{colour}]{held} of {len(screen.checks)} checks hold[/], {screen.seconds:.0f} s.")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
