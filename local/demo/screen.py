"""What the demo shows: chapters, checks that count, tables."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


class Check(msgspec.Struct, frozen=True):
    """One thing that must be true."""

    chapter: str
    claim: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        return self.expected == self.found


class Screen:
    """Prints as it goes and remembers every check for the report."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.checks: list[Check] = []
        self.started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._chapter = ""
        self._number = 0

    def chapter(self, title: str) -> None:
        self._number += 1
        self._chapter = title
        self.console.print(
            f"\n[bold cyan]{self._number:>2}  {title}[/]  [dim]{self.seconds:.0f} s[/]", soft_wrap=True
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._clock

    def say(self, text: str) -> None:
        self.console.print(f"    {text}", soft_wrap=True)

    def check(self, claim: str, expected: Any, found: Any) -> bool:
        """Shown and counted; the demo goes on when it fails and exits non-zero at the end."""
        done = Check(self._chapter, claim, str(expected), str(found))
        self.checks.append(done)
        if done.holds:
            self.console.print(f"    [green]✓[/] {claim}: [bold]{done.found}[/]", soft_wrap=True)
        else:
            self.console.print(
                f"    [bold red]✗ {claim}: {done.found}, but it must be {done.expected}[/]", soft_wrap=True
            )
        return done.holds

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2), title_style="bold")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.holds]


def yes(fact: bool) -> str:
    return "yes" if fact else "no"
