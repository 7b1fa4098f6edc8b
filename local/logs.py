"""What the servers write to their log files, short and coloured for a person at a terminal."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape

STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red", "ALERT": "bold red"}
SHOWN_AT_ONCE = 40
MAX_READ_BYTES = 262_144
MAX_LINE_CHARS = 300
DELIVERED = "POST / 204"
"""An event that was taken: there are many, and the schedule alone makes some every few seconds."""


class Tail:
    """Follows one file from where it ends now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[str]:
        """The whole lines that came since the last call; of a flood, the end."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(self._offset, size - MAX_READ_BYTES))
            data = log.read()
        whole, newline, rest = data.rpartition(b"\n")
        self._offset = size - len(rest)
        return (whole + newline).decode(errors="replace").splitlines()


class Logs:
    """All servers' tails; `show` takes a line of rich markup."""

    def __init__(self, files: Mapping[str, Path], show: Callable[[str], None]) -> None:
        self._tails = {name: Tail(path) for name, path in files.items()}
        self._show = show

    def poll(self) -> None:
        """Shows what is new, and of a flood how much was left to the file."""
        for name, tail in self._tails.items():
            shown = [text for text in map(readable, tail.lines()) if text]
            for text in shown[:SHOWN_AT_ONCE]:
                self._show(f"[cyan]{name:<8}[/] {text}")
            if len(shown) > SHOWN_AT_ONCE:
                self._show(f"[cyan]{name:<8}[/] [dim]… {len(shown) - SHOWN_AT_ONCE} more lines in its log[/]")


def readable(line: str) -> str:
    """One log line as rich markup; empty for what nobody needs to see."""
    try:
        entry = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return escape(line[:MAX_LINE_CHARS])
    if not isinstance(entry, dict):
        return escape(line[:MAX_LINE_CHARS])
    return _gateway(entry) if "details" in entry and "status" in entry else _function(entry)


def _gateway(entry: Mapping[str, Any]) -> str:
    """Only what the gateway answered itself: the rest is in the functions' logs."""
    if entry["details"] == "via_upstream":
        return ""
    why = str(entry["details"]).partition("{")[0].rstrip("_")
    return (
        f"{entry['status']} {escape(str(entry.get('method')))} {escape(str(entry.get('path')))} [dim]{why}[/]"
    )


def _function(entry: Mapping[str, Any]) -> str:
    """Message, how long it took, whose tenant it was, and the last line of a stack."""
    severity = str(entry.get("severity", "INFO"))
    message = str(entry.get("message", "")).splitlines() or [""]
    if severity == "DEBUG" or message[0] == DELIVERED:
        return ""
    text = escape(message[0][:MAX_LINE_CHARS])
    style = STYLES.get(severity)
    shown = [f"[{style}]{severity} {text}[/]" if style else text]
    stack = str(entry.get("stack_trace", "")).splitlines()[-1:]
    for detail in (_milliseconds(entry.get("httpRequest")), entry.get("tenant_id"), *stack):
        if detail:
            shown.append(f"[dim]{escape(str(detail)[:MAX_LINE_CHARS])}[/]")
    return " ".join(shown)


def _milliseconds(request: Any) -> str:
    latency = request.get("latency") if isinstance(request, dict) else None
    try:
        return f"{float(str(latency).removesuffix('s')) * 1000:.1f} ms"
    except ValueError:
        return ""
