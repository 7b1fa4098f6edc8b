"""Servers as child processes: started, waited for, started again when they die, stopped without a trace.

Each one leads a process group of its own, so that its workers go with it. A watchdog process kills the groups
when the runner cannot (`kill -9`): gunicorn's workers would otherwise serve on without their master.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec

Say = Callable[[str, str], None]
"""Tells the person at the terminal: a server's name, a sentence."""


class Server(msgspec.Struct, frozen=True):
    """What to run. `ready_url` answers 200 when it is up, or, written `tcp://host:port`, takes connections.
    Without one, running is being up. What is `irreplaceable` keeps in its memory what the others live on:
    when it dies, all of it ends.
    """

    name: str
    command: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    log: Path
    url: str = ""
    ready_url: str = ""
    irreplaceable: bool = False


class Pace(msgspec.Struct, frozen=True):
    """How long is waited for what, and how many crashes in which time are too many."""

    start_seconds: float = 30.0
    stop_seconds: float = 5.0
    first_pause_seconds: float = 0.2
    crashes: int = 5
    crash_window_seconds: float = 30.0


USUAL_PACE = Pace()


class ServerFailed(Exception):
    """A server does not come up, or does not stay up. The message ends with what it wrote last."""


class Processes:
    """The running servers. `changed` is called whenever a process id is new."""

    def __init__(self, say: Say, changed: Callable[[], None], pace: Pace = USUAL_PACE) -> None:
        self._say = say
        self._changed = changed
        self._pace = pace
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._watchdog = _start_watchdog()

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items()}

    @property
    def watchdog_pid(self) -> int:
        return self._watchdog.pid

    async def start(self, *servers: Server) -> None:
        """All at once; returns when all are up. Raises `ServerFailed` for the first that does not come up."""
        failures: list[ServerFailed] = []
        try:
            async with asyncio.TaskGroup() as group:
                for server in servers:
                    group.create_task(self._start(server))
        except* ServerFailed as failed:
            failures += [failure for failure in failed.exceptions if isinstance(failure, ServerFailed)]
        if failures:
            raise failures[0]

    async def run(self) -> None:
        """Keeps the servers running until it is cancelled. Raises `ServerFailed` when one dies too often."""
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_EXCEPTION)
        for keeper in done:
            keeper.result()

    async def stop(self) -> None:
        """SIGTERM to all, then SIGKILL to what is left, workers included."""
        for keeper in self._keepers:
            keeper.cancel()
        running = list(self._running.values())
        for process in running:
            _signal(process.pid, signal.SIGTERM)
        if running:
            ends = [asyncio.ensure_future(process.wait()) for process in running]
            await asyncio.wait(ends, timeout=self._pace.stop_seconds)
        for process in running:
            self._clear(process)
        await asyncio.gather(*(process.wait() for process in running))
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.to_thread(_stop_watchdog, self._watchdog)

    async def _start(self, server: Server) -> None:
        process = await self._spawn(server)
        await _until_ready(server, process, self._pace.start_seconds)
        self._keepers.append(asyncio.create_task(self._keep(server, process), name=server.name))

    async def _keep(self, server: Server, process: asyncio.subprocess.Process) -> None:
        crashes: list[float] = []
        while True:
            code = await process.wait()
            self._clear(process)
            if server.irreplaceable:
                lost = f"{server.name} {_ending(code)}, and what it kept in its memory is gone."
                raise ServerFailed(lost + _last_words(server))
            now = time.monotonic()
            crashes = [*(at for at in crashes if at > now - self._pace.crash_window_seconds), now]
            if len(crashes) >= self._pace.crashes:
                often = (
                    f"died {len(crashes)} times in {self._pace.crash_window_seconds:.0f} s, the last time it"
                )
                raise ServerFailed(f"{server.name} {often} {_ending(code)}." + _last_words(server))
            pause = self._pace.first_pause_seconds * 2 ** (len(crashes) - 1)
            self._say(server.name, f"{_ending(code)}; starting it again in {pause:.1f} s")
            await asyncio.sleep(pause)
            process = await self._spawn(server)
            with contextlib.suppress(ServerFailed):  # if it has died again, the next round says so
                await _until_ready(server, process, self._pace.start_seconds)
                self._say(server.name, f"is back as process {process.pid}")

    async def _spawn(self, server: Server) -> asyncio.subprocess.Process:
        with server.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *server.command,
                cwd=server.cwd,
                env=server.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._tell_watchdog(f"+{process.pid}")
        self._running[server.name] = process
        self._changed()
        return process

    def _clear(self, process: asyncio.subprocess.Process) -> None:
        """Kills what is left of a server: a dead master's workers hold the port and answer on."""
        _signal(process.pid, signal.SIGKILL)
        self._tell_watchdog(f"-{process.pid}")

    def _tell_watchdog(self, line: str) -> None:
        assert self._watchdog.stdin is not None  # noqa: S101 - a pipe was asked for
        self._watchdog.stdin.write(f"{line}\n".encode())


async def _until_ready(server: Server, process: asyncio.subprocess.Process, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    # Nothing is encrypted here, and to load the world's certificates takes longer than to ask.
    async with httpx.AsyncClient(timeout=5.0, trust_env=False, verify=False) as client:  # noqa: S501
        while server.ready_url and not await _answers(client, server.ready_url):
            if time.monotonic() > deadline:
                raise ServerFailed(f"{server.name} does not answer {server.ready_url}." + _last_words(server))
            if process.returncode is not None:
                break
            await asyncio.sleep(0.03)
    if process.returncode is not None:
        raise ServerFailed(f"{server.name} {_ending(process.returncode)}." + _last_words(server))


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    if url.startswith("tcp://"):
        return await _listens(urlsplit(url))
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


async def _listens(url: SplitResult) -> bool:
    try:
        _, writer = await asyncio.open_connection(url.hostname, url.port)
    except OSError:
        return False
    writer.close()
    return True


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _last_words(server: Server) -> str:
    lines = server.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
    return "".join(f"\n    {line[:400]}" for line in lines) + f"\n  Its log: {server.log}"


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _start_watchdog() -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("watchdog.py")
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-I", "-S", str(script)], stdin=subprocess.PIPE, bufsize=0, start_new_session=True
    )


def _stop_watchdog(watchdog: subprocess.Popen[bytes]) -> None:
    if watchdog.stdin is not None:
        watchdog.stdin.close()
    watchdog.wait()
