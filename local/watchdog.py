"""Kills what a runner that was itself killed has left behind.

The runner writes a line, `+123` or `-123`, for each process group that begins or ends. When the pipe closes,
by whatever death, the groups that remain are killed. Runs alone, in a session of its own, without packages.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def left_behind(lines: Iterable[str]) -> set[int]:
    """The process groups that remain when the lines end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    for group in left_behind(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
