"""Shows what was set aside on this machine: the quarantine, dead letters included."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.layout import Layout
from shared import quarantine
from shared.ids import utc_now
from shared.quarantine import Quarantine
from shared.store.sqlite import SqliteStore

SHOWN = 50


async def show(layout: Layout, console: Console) -> None:
    """The newest `SHOWN`."""
    store = SqliteStore(layout.store, quarantine.QUERIES)
    try:
        page = await Quarantine(store, utc_now, "local").list(SHOWN, None)
    finally:
        await store.close()
    table = Table(title="Quarantine: can never succeed, or failed five times", title_justify="left", box=None)
    for heading in ("received", "function", "reason", "tenant", "detail"):
        table.add_column(heading)
    for each in page.items:
        received = f"{each.received_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(received, each.function, each.reason, each.subject, each.detail)
    console.print(table if page.items else "The quarantine is empty.")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.set_aside", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".local"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    layout = Layout(options.data_dir.resolve())
    if not layout.store.exists():
        print(f"set_aside: nothing has run in {options.data_dir} yet (make run)", file=sys.stderr)
        return 1
    asyncio.run(show(layout, Console()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
