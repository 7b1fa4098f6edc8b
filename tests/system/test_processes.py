"""Child processes: kept running, given up on, stopped, and never left behind. And the ports they get."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.ports import HOST, PortUnusable, Reservation
from local.processes import Pace, Processes, Server, ServerFailed

pytestmark = pytest.mark.anyio

MASTER_AND_WORKER = """
import http.server, os, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d" % os.getpid())
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if os.fork():
    time.sleep(600)
server.serve_forever()
"""
"""As gunicorn: the worker holds the port and serves on without its master."""

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


class Told:
    """What the person at the terminal was told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.changes = 0

    def say(self, server: str, sentence: str) -> None:
        self.sentences.append(f"{server} {sentence}")

    def changed(self) -> None:
        self.changes += 1


@asynccontextmanager
async def _processes(told: Told, pace: Pace | None = None) -> AsyncIterator[Processes]:
    processes = Processes(told.say, told.changed, pace or Pace())
    try:
        yield processes
    finally:
        await processes.stop()


def _server(tmp_path: Path, code: str, *arguments: str, name: str = "dummy", ready_url: str = "") -> Server:
    return Server(
        name=name,
        command=(sys.executable, "-S", "-c", textwrap.dedent(code), *arguments),
        cwd=tmp_path,
        env={"PATH": os.defpath},
        log=tmp_path / "dummy.log",
        ready_url=ready_url,
    )


def _web_server(tmp_path: Path, port: int) -> Server:
    return _server(tmp_path, MASTER_AND_WORKER, str(port), ready_url=f"http://{HOST}:{port}/")


def _alive(group: int) -> bool:
    """Whether anything of a process group runs (a zombie does not)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                return True
    return False


async def _until(condition: str, told: Told) -> None:
    deadline = time.monotonic() + 10
    while not any(condition in sentence for sentence in told.sentences):
        assert time.monotonic() < deadline, told.sentences
        await asyncio.sleep(0.02)


async def test_a_server_that_speaks_no_http_is_up_when_it_takes_connections(tmp_path: Path) -> None:
    port = Reservation.take()
    late = """
        import socket, sys, time
        time.sleep(0.3)
        listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        time.sleep(600)
    """
    server = _server(tmp_path, late, str(port.port), ready_url=f"tcp://{HOST}:{port.port}")
    port.release()
    async with _processes(Told()) as processes:
        await processes.start(server)
        with socket.create_connection((HOST, port.port), timeout=1):
            pass


async def test_a_killed_master_takes_its_workers_along_and_comes_back_on_its_port(tmp_path: Path) -> None:
    told = Told()
    reservation = Reservation.take()
    async with _processes(told) as processes:
        await processes.start(_web_server(tmp_path, reservation.port))
        first = processes.pids["dummy"]
        os.kill(first, signal.SIGKILL)
        await _until("is back as process", told)
        assert not _alive(first)
        assert processes.pids["dummy"] != first
        assert told.sentences[0] == "dummy was killed by SIGKILL; starting it again in 0.2 s"
        assert told.changes == 2
    reservation.release()


async def test_nothing_is_left_after_stop_even_of_a_process_that_will_not_go(tmp_path: Path) -> None:
    reservation = Reservation.take()
    async with _processes(Told(), Pace(stop_seconds=0.3)) as processes:
        await processes.start(_web_server(tmp_path, reservation.port))
        polite = processes.pids["dummy"]
        await processes.start(_server(tmp_path, STUBBORN, name="stubborn"))
        stubborn = processes.pids["stubborn"]
        watchdog = processes.watchdog_pid
        assert _alive(polite)
        assert _alive(stubborn)
        await asyncio.sleep(0.3)  # until the stubborn one ignores SIGTERM
    assert not _alive(polite)
    assert not _alive(stubborn)
    assert not _alive(watchdog)
    reservation.release()


async def test_a_server_that_ends_while_it_starts_is_reported_with_its_last_words(tmp_path: Path) -> None:
    async with _processes(Told()) as processes:
        broken = _server(
            tmp_path, "print('ENVIRONMENT is missing'); raise SystemExit(1)", ready_url="http://127.0.0.1:9/"
        )
        with pytest.raises(ServerFailed, match=r"(?s)dummy ended with exit code 1.*ENVIRONMENT is missing"):
            await processes.start(broken)


async def test_one_server_that_does_not_come_up_ends_the_wait_for_the_others(tmp_path: Path) -> None:
    broken = _server(tmp_path, "raise SystemExit(1)", ready_url="http://127.0.0.1:9/")
    waiting = _server(tmp_path, "import time; time.sleep(600)", name="slow", ready_url="http://127.0.0.1:9/")
    async with _processes(Told()) as processes:
        with pytest.raises(ServerFailed, match="exit code 1"):
            await asyncio.wait_for(processes.start(waiting, broken), 10)


async def test_a_server_that_dies_five_times_is_given_up_on(tmp_path: Path) -> None:
    told = Told()
    async with _processes(told, Pace(first_pause_seconds=0.01)) as processes:
        await processes.start(_server(tmp_path, "print('no luck'); raise SystemExit(3)"))
        with pytest.raises(
            ServerFailed, match=r"(?s)died 5 times in 30 s, the last time it ended with exit code 3.*no luck"
        ):
            await asyncio.wait_for(processes.run(), 20)
    assert len([sentence for sentence in told.sentences if "starting it again" in sentence]) == 4


async def test_nothing_is_left_behind_when_the_runner_itself_is_killed(tmp_path: Path) -> None:
    reservation = Reservation.take()
    runner = tmp_path / "runner.py"
    runner.write_text(
        textwrap.dedent(f"""
        import asyncio, pathlib, sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from tests.system.test_processes import Told, _web_server
        from local.processes import Pace, Processes
        async def main():
            told = Told()
            processes = Processes(told.say, told.changed)
            await processes.start(_web_server(pathlib.Path({str(tmp_path)!r}), {reservation.port}))
            print(processes.pids["dummy"], processes.watchdog_pid, flush=True)
            await processes.run()
        asyncio.run(main())
        """)
    )
    process = subprocess.Popen([sys.executable, str(runner)], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220, S603
    assert process.stdout is not None
    group, watchdog = map(int, process.stdout.readline().split())
    assert _alive(group)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while _alive(group) or _alive(watchdog):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    reservation.release()


async def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server((HOST, 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(PortUnusable) as refused:
            Reservation.take(port)
    assert re.fullmatch(rf"port {port} is taken by process {os.getpid()} \(.+\)", str(refused.value))


async def test_a_reserved_port_is_given_to_nobody_else() -> None:
    reservations = [Reservation.take() for _ in range(50)]
    assert len({reservation.port for reservation in reservations}) == 50
    for reservation in reservations:
        reservation.release()
