"""A relay under test: on the local bus or on the Pub/Sub emulator, in this process or in one of its own."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from local import broker, relay, status
from local.broker import Broker
from local.ports import HOST, Reservation
from shared.bus import BILLING_EVENTS, Bus, Message
from tests import emulators

REPOSITORY = Path(__file__).resolve().parents[1]
QUIET = ("--sweep-seconds=0", "--tick-seconds=0", "--retry-base-seconds=0.02")


class Place:
    """A bus with every subscription of the functions, and the flags that lead a relay to it."""

    def __init__(self, options: broker.Options, source: Broker, port: int) -> None:
        self.data_dir = options.data_dir
        self.project = source.project
        self.bus: Bus = source.bus
        self.source = source
        self._flags = [f"--data-dir={options.data_dir}", f"--status-port={port}"]
        if options.pubsub:
            self._flags += [f"--pubsub={options.pubsub}", f"--project={options.project}"]
        self.url = f"http://{HOST}:{port}"

    async def publish(self, count: int, start: int = 0) -> list[bytes]:
        """Numbers, to billing."""
        datas = [b"%d" % number for number in range(start, start + count)]
        await self.bus.publish(BILLING_EVENTS, [Message(data) for data in datas])
        return datas

    async def until_drained(self, seconds: float = 60.0) -> None:
        """By what the running relay says."""
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(status.are_drained, [self.url]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def pending(self) -> dict[str, int]:
        """What a running relay says, of each subscription."""
        async with asyncio.timeout(60):
            while (said := await asyncio.to_thread(status.read, self.url)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return said.pending

    @asynccontextmanager
    async def relaying(self, *arguments: str) -> AsyncIterator[None]:
        """A relay in this process."""
        stop = asyncio.Event()
        running = asyncio.create_task(relay.run(relay.options([*self._flags, *QUIET, *arguments]), stop))
        try:
            yield
        finally:
            stop.set()
            await running

    @contextmanager
    def relay_process(self, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
        """One of its own, killed in the end."""
        command = [sys.executable, "-m", "local.relay", *self._flags, *QUIET, *arguments]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)  # noqa: S603
        try:
            yield running
        finally:
            running.kill()
            running.wait()
            if running.stdout:
                running.stdout.close()


@asynccontextmanager
async def opened(options: broker.Options) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        stack.enter_context(emulators.patience())
        port = Reservation.take()
        stack.callback(port.release)
        source = await stack.enter_async_context(broker.opened(options))
        await relay.prepare(source)
        yield Place(options, source, port.port)
