"""The whole suite as a test meets it: started by the runner, used through its gateway and its topics."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from local import backend, status
from local.first_operator import Credential
from local.layout import Layout
from local.suite import CONSUMERS, ENTRY_POINTS
from shared import events, outbox
from shared.bus import Message
from shared.events import CloudEvent
from tests import emulators
from tests.loopback import NO_CERTIFICATES

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[1]
START_SECONDS = 120.0


class Suite:
    """A running suite. Its methods block, and may be called from tests of both kinds."""

    def __init__(self, runner: "subprocess.Popen[str]", ready_file: Path) -> None:
        self.runner = runner
        self._ready_file = ready_file
        self.gateway: str = self.ready["gateway"]
        self.data_dir = Path(self.ready["data_dir"])
        self.backend = backend.of(Layout(self.data_dir))
        self.operator = msgspec.json.decode(Path(self.ready["operator_file"]).read_bytes(), type=Credential)

    @property
    def ready(self) -> dict[str, Any]:
        """The runner's ready file as it is now; process ids in it change with each restart."""
        found: dict[str, Any] = json.loads(self._ready_file.read_text())
        return found

    @property
    def pids(self) -> dict[str, int]:
        ready = self.ready
        return {name: server["pid"] for name, server in {**ready["functions"], **ready["others"]}.items()}

    def url(self, function: str) -> str:
        """A function's own address, past the gateway."""
        return str(self.ready["functions"][function]["url"])

    def operator_token(self) -> str:
        form = {"grant_type": "client_credentials"}
        auth = (self.operator.client_id, self.operator.client_secret)
        answer = httpx.post(
            self.operator.token_endpoint, data=form, auth=auth, trust_env=False, verify=NO_CERTIFICATES
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def publish(self, topic: str, messages: Sequence[CloudEvent | Message | bytes]) -> None:
        """Events of ours, or messages and bytes just as they are."""
        _in_thread(self._publish(topic, [_message(each) for each in messages]))

    def wait_drained(self, seconds: float = 60.0) -> None:
        """Until no message is on its way and no event waits in the outbox. Dead letters do not count."""
        until(self._drained, "the topics to be drained", seconds)

    def kill(self, function: str) -> int:
        """`kill -9` to master and workers. Returns the process id that is gone; see `wait_restarted`."""
        pid = self.pids[function]
        os.killpg(pid, signal.SIGKILL)
        return pid

    def wait_restarted(self, function: str, killed: int, seconds: float = 30.0) -> None:
        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                health = httpx.get(f"{self.url(function)}/health", trust_env=False, verify=NO_CERTIFICATES)
                return self.pids[function] != killed and health.status_code == 200
            return False

        until(answers, f"{function} to come back", seconds)

    def _drained(self) -> bool:
        consumers = [self.ready["others"][name]["url"] for name in CONSUMERS]
        return status.are_drained(consumers) and not _in_thread(self._in_outbox())

    async def _publish(self, topic: str, messages: Sequence[Message]) -> None:
        bus = self.backend.open_bus()
        try:
            await bus.publish(topic, messages)
        finally:
            await bus.close()

    async def _in_outbox(self) -> bool:
        store = self.backend.open_store(outbox.QUERIES)
        shards = [f"{function}-{shard}" for function in ENTRY_POINTS for shard in range(outbox.SHARDS)]
        try:
            pages = [store.platform().query(outbox.DUE, "outbox", shard, limit=1) for shard in shards]
            return any(page.docs for page in await asyncio.gather(*pages))
        finally:
            await store.close()


def command(data_dir: Path, ready_file: Path, *flags: str) -> list[str]:
    where = ["--data-dir", str(data_dir), "--ready-file", str(ready_file)]
    return [
        sys.executable,
        "-m",
        "local.run",
        "--port",
        "0",
        "--no-logs",
        "--tick-seconds",
        "0",
        *where,
        *flags,
    ]


@contextlib.contextmanager
def running(folder: Path, *flags: str, backend: str = "embedded") -> Iterator[Suite]:
    """A suite on free ports with its data in `folder/data`, stopped in the end."""
    if backend == "gcp":
        emulators.installed()
    ready_file = folder / "ready.json"
    output = folder / "runner.out"
    with output.open("w") as out:
        runner = subprocess.Popen(  # noqa: S603 - our own module
            command(folder / "data", ready_file, *flags),
            cwd=REPOSITORY,
            env={**os.environ, "BACKEND": backend},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        _until_started(runner, ready_file, output)
        yield Suite(runner, ready_file)
    finally:
        if runner.poll() is None:
            runner.terminate()
        runner.wait(30)


def _until_started(runner: "subprocess.Popen[str]", ready_file: Path, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready_file.exists():
        waiting = runner.poll() is None and time.monotonic() < deadline
        assert waiting, f"the suite does not start; it said:\n{output.read_text()}"
        time.sleep(0.05)


def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Looks every 50 ms."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.05)


def _message(value: CloudEvent | Message | bytes) -> Message:
    if isinstance(value, CloudEvent):
        return events.to_message(value)
    return value if isinstance(value, Message) else Message(value)


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Runs it whether or not the caller is inside of an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
