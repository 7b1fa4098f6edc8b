"""`python -m bench`: the figures of the suite on this machine, each beside its target."""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench import bill, comparison, scenarios, tenancy
from bench.scenarios import Figure
from bench.server import GENERATOR_CORE


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures rates, start-up and memory. Each function runs alone on one core, the load "
        "generator on another. With BACKEND=gcp: operations on Google's bill, and cold starts. "
        "Nothing else should run meanwhile. Prints a table; exit code 0 in any case.",
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each load (%(default)s)")
    parser.add_argument("--only", default="", help="only scenarios whose name contains this")
    parser.add_argument(
        "--peers", action="store_true", help="ratios to other people's servers instead (see `make peers`)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if os.cpu_count() and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {GENERATOR_CORE})
    console = Console(highlight=False, width=110)
    with tempfile.TemporaryDirectory() as scratch:
        if options.peers:
            duels = comparison.run(Path(scratch), options.seconds, options.only, console.print)
            figures = asyncio.run(duels)
        elif os.environ.get("BACKEND") == "gcp":
            figures = asyncio.run(bill.run(Path(scratch), options.only, console.print))
        else:
            runs = scenarios.run(Path(scratch), options.seconds, options.only, console.print)
            figures = asyncio.run(runs)
            if options.only in "tenants":
                figures += asyncio.run(tenancy.run(Path(scratch), options.seconds, console.print))
    _print(console, figures)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    return 0


def _print(console: Console, figures: list[Figure]) -> None:
    console.print(f"\n{_machine()}; 16 connections; function on one core, generator on another")
    table = Table(box=None, padding=(0, 2))
    for name, justify in (("what", "left"), ("measured", "right"), ("target", "right"), ("", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for figure in figures:
        table.add_row(figure.name, figure.measured, figure.target, figure.verdict)
    console.print(table)


def _machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
