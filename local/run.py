"""The whole suite on one machine: `python -m local.run`, the runner behind `make run`."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from local import backend, data_folder, suite
from local.data_folder import DataFolderError
from local.layout import Layout
from local.ports import PortUnusable, Reservation
from local.processes import ServerFailed
from local.runner import CannotStart, Runner
from local.suite import Options

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _reserve(backend: str, gateway_port: int, held: contextlib.ExitStack) -> dict[str, int]:
    """The gateway's port and a free one for each other server, kept until the end. Raises `PortUnusable`."""
    ports = {}
    for name in suite.names(backend):
        reservation = Reservation.take(gateway_port if name == "gateway" else 0)
        held.callback(reservation.release)
        ports[name] = reservation.port
    return ports


async def _until_stopped(runner: Runner, *, logs: bool) -> None:
    """A first signal stops the run; while it stops, further ones are ignored."""
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(runner.run(logs=logs))

    def stop() -> None:
        for number in STOPPING:
            loop.add_signal_handler(number, lambda: None)
        work.cancel()

    for number in STOPPING:
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.run",
        description="Runs auth, billing and tenants behind a gateway on this machine, until Ctrl-C. The "
        "environment variable BACKEND says on what: embedded (SQLite and files; the default) or gcp "
        "(Google's emulators, which start empty and forget everything at the end).",
    )
    default = "default: %(default)s"
    parser.add_argument(
        "--port", type=_port, default=8080, help=f"the gateway's, on 127.0.0.1; 0: any free one; {default}"
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".local"), help=f"state, e-mails, logs, keys; {default}"
    )
    parser.add_argument("--fresh", action="store_true", help="empty the data folder first")
    parser.add_argument("--no-logs", "--quiet", action="store_true", help="write logs to their files only")
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="JSON with addresses, process ids and paths, written when all is up and whenever an id changes",
    )
    parser.add_argument(
        "--jwks-cache-seconds",
        type=_seconds,
        default=300.0,
        help=f"how long the gateway keeps keys; {default}",
    )
    parser.add_argument(
        "--retry-base-seconds",
        type=_seconds,
        default=0.5,
        help=f"pause before an event is delivered again, doubled each time; {default}",
    )
    parser.add_argument(
        "--tick-seconds",
        type=_seconds,
        default=3600.0,
        help=f"how often the scheduler wakes billing, which closes what is due; 0: never; {default}",
    )
    parser.add_argument(
        "--cluster-delay-seconds",
        type=_seconds,
        default=0.5,
        help=f"how long the cluster stand-in takes for a step; {default}",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    flags = _parser().parse_args(arguments)
    chosen = os.environ.get("BACKEND", "embedded")
    if chosen not in ("embedded", "gcp"):
        return _refuse(f"BACKEND={chosen} is none; use BACKEND=embedded or BACKEND=gcp")
    console = Console()
    layout = Layout(flags.data_dir.resolve())
    other = backend.of(layout).name
    if other != chosen and layout.lock.exists() and not flags.fresh and not data_folder.is_held(layout):
        return _refuse(
            f"{flags.data_dir} belongs to BACKEND={other}; give DATA_DIR=another-folder, or --fresh"
        )
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(data_folder.held(layout, fresh=flags.fresh or chosen == "gcp"))
            options = Options(
                layout=layout,
                ports=_reserve(chosen, flags.port, held),
                backend="gcp" if chosen == "gcp" else "embedded",
                jwks_cache_seconds=flags.jwks_cache_seconds,
                retry_base_seconds=flags.retry_base_seconds,
                tick_seconds=flags.tick_seconds,
                cluster_delay_seconds=flags.cluster_delay_seconds,
            )
            runner = Runner(options, str(flags.data_dir), flags.ready_file, console)
            asyncio.run(_until_stopped(runner, logs=not flags.no_logs))
        except PortUnusable as refusal:
            return _refuse(f"{refusal}; choose another with PORT= (0: any free one)")
        except (CannotStart, DataFolderError, ServerFailed) as refusal:
            return _refuse(str(refusal))
    return 0


def _refuse(why: str) -> int:
    print(f"run: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
