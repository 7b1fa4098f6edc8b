"""`python -m local.demo`: runs the story; exit code 0 when every check holds."""

import argparse
import asyncio
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from local.demo import report
from local.demo.screen import Screen
from local.demo.story import Story
from local.demo.world import DemoFailed, running


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Runs the whole suite on free ports and tells a customer's life, checking every figure.",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".local/demo"), help="emptied first (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="repeats a run's dice")  # noqa: S311
    options = parser.parse_args()
    return asyncio.run(_run(options.data_dir, options.seed))


async def _run(data_dir: Path, seed: int) -> int:
    screen = Screen(Console(highlight=False))
    screen.console.print(f"[bold]The suite on one machine[/]  seed {seed}, data in {data_dir}")
    page, stopped = "", ""
    try:
        async with running(data_dir) as world:
            story = Story(world, screen, random.Random(seed), datetime.now(UTC).date())  # noqa: S311 - dice
            page = await story.tell()
    except DemoFailed as failure:
        stopped = str(failure)
    path = data_dir / "report.html"
    if data_dir.exists():
        report.write(path, screen, page)
    screen.console.print(f"\nReport with the invoice: {path.resolve()}")
    if stopped:
        screen.console.print(
            f"[bold red]The story stopped: {stopped}[/]\nLogs: {data_dir / 'logs'}", markup=True
        )
    verdict = "[bold red]" if stopped or screen.failed else "[bold green]"
    held = len(screen.checks) - len(screen.failed)
    screen.console.print(f"{verdict}{held} of {len(screen.checks)} checks hold[/], {screen.seconds:.0f} s.")
    return 1 if stopped or screen.failed or not screen.checks else 0


if __name__ == "__main__":
    sys.exit(main())
