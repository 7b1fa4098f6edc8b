"""One function as a server process on a core of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from local.processes import Server

SERVER_CORE = 0
GENERATOR_CORE = 1
READY_SECONDS = 30.0


class Running(msgspec.Struct, frozen=True):
    pid: int
    port: int
    started: float
    """`time.perf_counter()` when the process was started."""


def reference(port: int, scratch: Path) -> Server:
    """The framework without the suite."""
    framework = str(Path(sys.executable).parent / "functions-framework")
    return Server(
        name="reference",
        command=(
            *(framework, "--source", "main.py", "--target", "reference"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ),
        cwd=Path(__file__).parent / "reference",
        env={"PATH": os.environ["PATH"], "HOME": str(scratch)},
        log=scratch / "reference.log",
    )


@asynccontextmanager
async def pinned(server: Server, port: int) -> AsyncIterator[Running]:
    """Runs it on SERVER_CORE; yields as soon as it accepts connections, before any request."""
    cores = os.sched_getaffinity(0)
    core = {SERVER_CORE} if SERVER_CORE in cores else cores
    server.log.parent.mkdir(parents=True, exist_ok=True)
    Path(server.env["HOME"]).mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with server.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            server.command,
            cwd=server.cwd,
            env=server.env,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, core),  # noqa: PLW1509 - no threads here yet
        )
    try:
        await _accepting(port, process, server)
        yield Running(process.pid, port, started)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _accepting(port: int, process: subprocess.Popen[bytes], server: Server) -> None:
    end = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < end:
        if process.poll() is not None:
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.002)
            continue
        writer.close()
        return
    raise SystemExit(f"{server.name} does not start; see {server.log}")


def worker_cpu_seconds(pid: int) -> float:
    """CPU time that the workers below a gunicorn master have used so far."""
    ticks = 0
    for worker in _workers(pid):
        fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def worker_pss_mb(pid: int) -> float:
    """Proportional set size of the worker processes below a gunicorn master, in MB."""
    total_kb = 0
    for worker in _workers(pid):
        for line in Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb * 1024 / 1e6


def _workers(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
