"""The cluster's place on one machine: it says that every step it is asked for has succeeded."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from local.layout import Layout
from shared import envelope, events
from shared.bus import TENANT_EVENTS
from shared.bus.local import LocalBus
from shared.bus.tables import Leased
from shared.envelope import BadEnvelope, Delivery
from shared.event_door import Rejected, data_of
from shared.events import CloudEvent
from shared.ids import Clock, utc_now
from shared.payloads import StatusReported, StepRequested

SUBSCRIPTION = "cluster"
SOURCE = "//energent/cluster"
LEASE_SECONDS = 30.0
AT_ONCE = 50
IDLE_SECONDS = 0.05


def answer(data: bytes, clock: Clock) -> CloudEvent | None:
    """The report for a `tenant.step.requested`; None for any other event on the topic.

    The event's id comes from the operation, so a request that is delivered twice is answered alike.
    Raises `BadEnvelope` and `Rejected` for what is no event or no such request.
    """
    event = envelope.event_of(Delivery("", data, {}))
    if events.short_name(event.type) != "tenant.step.requested":
        return None
    request = data_of(event, StepRequested)
    return events.make(
        "tenant.status.reported",
        event_id=f"{request.operation_id}-{request.step}",
        source=SOURCE,
        subject=event.subject,
        time=clock(),
        data=StatusReported(request.operation_id, request.step, "succeeded"),
    )


class Cluster:
    """Consumes its own subscription, so the tenants function sees every message as well."""

    def __init__(self, bus: LocalBus, clock: Clock, delay_seconds: float) -> None:
        self._bus = bus
        self._clock = clock
        self._delay_seconds = delay_seconds

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._bus.subscribe(TENANT_EVENTS, SUBSCRIPTION)
        while True:
            if not await self.work():
                await self._wait()

    async def work(self) -> int:
        """Answers what is due; returns how many messages that were."""
        leased = await self._bus.lease(SUBSCRIPTION, AT_ONCE, LEASE_SECONDS)
        await asyncio.gather(*(self._handle(message) for message in leased))
        return len(leased)

    async def _handle(self, leased: Leased) -> None:
        report: CloudEvent | None = None
        try:
            report = answer(leased.message.data, self._clock)
        except (BadEnvelope, Rejected) as broken:
            print(f"message {leased.message_id} is left alone: {str(broken)[:200]!a}", flush=True)
        if report is not None:
            await asyncio.sleep(self._delay_seconds)
            await self._bus.publish(TENANT_EVENTS, [events.to_message(report)])
            print(f"{report.subject}: {msgspec.json.decode(report.data)['step']} succeeded", flush=True)
        await self._bus.ack(leased)

    async def _wait(self) -> None:
        """Until something changes in the bus, or what failed before is due."""
        seen = self._bus.change_count()
        due = await self._bus.due_in(SUBSCRIPTION)
        while self._bus.change_count() == seen and (due is None or due > 0):
            await asyncio.sleep(IDLE_SECONDS)
            due = None if due is None else due - IDLE_SECONDS


async def _run(data_dir: Path, delay_seconds: float) -> None:
    bus = LocalBus(Layout(data_dir).bus)
    try:
        await Cluster(bus, utc_now, delay_seconds).run()
    finally:
        await bus.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.cluster", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".local"), help="default: %(default)s")
    parser.add_argument(
        "--delay-seconds", type=float, default=0.5, help="how long a step takes; default: %(default)s"
    )
    options = parser.parse_args(arguments)
    asyncio.run(_run(options.data_dir.resolve(), options.delay_seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
