"""What the runner tells: a table for a person, a file for a program."""

import shlex
from collections.abc import Mapping

import msgspec
from rich.console import Console
from rich.table import Table

from local.processes import Server


class Running(msgspec.Struct, frozen=True):
    """One server. `url` is empty for one that does not listen."""

    url: str
    pid: int
    log: str


class Ready(msgspec.Struct, frozen=True):
    """The ready file. `gateway` is where clients go; `subscriptions`: name on the bus to topic."""

    gateway: str
    runner_pid: int
    watchdog_pid: int
    data_dir: str
    operator_file: str
    mailbox: str
    functions: dict[str, Running]
    others: dict[str, Running]
    subscriptions: dict[str, str]


def running(servers: Mapping[str, Server], pids: Mapping[str, int]) -> dict[str, Running]:
    return {name: Running(server.url, pids[name], str(server.log)) for name, server in servers.items()}


def as_json(ready: Ready) -> str:
    return msgspec.json.format(msgspec.json.encode(ready), indent=2).decode()


def show(console: Console, ready: Ready, data_dir: str) -> None:
    """`data_dir` is the folder as the person named it, short enough to type."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("what", "where", "process"):
        table.add_column(heading, no_wrap=True)
    for name, server in (*ready.others.items(), *ready.functions.items()):
        table.add_row(name, server.url or "–", str(server.pid))
    console.print(table)
    typed = shlex.quote(data_dir)
    usage = "usage --tenant tnt_… --meter agent_minutes --quantity 3"
    hints = {
        "API": ready.gateway,
        "a first token": f"curl -s -K {typed}/operator.curl",
        "e-mails": f"{data_dir}/mailbox/",
        "logs": f"{data_dir}/logs/",
        "set aside": f".venv/bin/python -m local.set_aside --data-dir {typed}",
        "publish usage": f".venv/bin/python -m local.publish --data-dir {typed} {usage}",
        "stop": "Ctrl-C",
    }
    console.print()
    for name, hint in hints.items():
        console.print(f"[dim]{name:<14}[/] {hint}", soft_wrap=True, highlight=False)
    console.print()
