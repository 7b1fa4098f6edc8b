"""The cluster's place on one machine: it says that every step it is asked for has succeeded."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from local import broker, status
from local.broker import Subscriber, Subscription
from shared import envelope, events
from shared.bus import TENANT_EVENTS, Bus
from shared.bus.tables import Leased
from shared.envelope import BadEnvelope, Delivery
from shared.errors import Unavailable
from shared.event_door import Rejected, data_of
from shared.events import CloudEvent
from shared.ids import Clock, utc_now
from shared.payloads import StatusReported, StepRequested

SUBSCRIPTION = Subscription("cluster", TENANT_EVENTS)
SOURCE = "//energent/cluster"
AT_ONCE = 50
RETRY_SECONDS = 1.0


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

    def __init__(self, subscriber: Subscriber, bus: Bus, clock: Clock, delay_seconds: float) -> None:
        self._subscriber = subscriber
        self._bus = bus
        self._clock = clock
        self._delay_seconds = delay_seconds

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                if not await self.work():
                    await self._subscriber.wait()
            except Unavailable as outage:
                print(f"the bus cannot be read: {outage}", flush=True)
                await asyncio.sleep(RETRY_SECONDS)

    async def work(self) -> int:
        """Answers what is due; returns how many messages that were."""
        leased = await self._subscriber.lease(AT_ONCE)
        await asyncio.gather(*(self._handle(message) for message in leased))
        return len(leased)

    async def _handle(self, leased: Leased) -> None:
        report: CloudEvent | None = None
        try:
            report = answer(leased.message.data, self._clock)
        except (BadEnvelope, Rejected) as broken:
            print(f"message {leased.message_id} is left alone: {str(broken)[:200]!a}", flush=True)
        try:
            if report is not None:
                await asyncio.sleep(self._delay_seconds)
                await self._bus.publish(TENANT_EVENTS, [events.to_message(report)])
                print(f"{report.subject}: {msgspec.json.decode(report.data)['step']} succeeded", flush=True)
            await self._subscriber.ack(leased)
        except Unavailable as outage:
            print(f"message {leased.message_id} comes again: {outage}", flush=True)
            await self._subscriber.nack(leased)


async def _run(options: broker.Options, delay_seconds: float, status_port: int) -> None:
    async with broker.opened(options) as source:
        await source.prepare(SUBSCRIPTION)
        subscriber = source.subscriber(SUBSCRIPTION)
        try:
            async with asyncio.TaskGroup() as group:
                if status_port:
                    group.create_task(status.serve(status_port, {SUBSCRIPTION.name: subscriber}))
                await Cluster(subscriber, source.bus, utc_now, delay_seconds).run()
        finally:
            await subscriber.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.cluster", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".local"), help="default: %(default)s")
    broker.add_arguments(parser)
    parser.add_argument(
        "--delay-seconds", type=float, default=0.5, help="how long a step takes; default: %(default)s"
    )
    status.add_argument(parser)
    given = parser.parse_args(arguments)
    options = broker.Options(given.data_dir.resolve(), given.pubsub, given.project)
    asyncio.run(_run(options, given.delay_seconds, given.status_port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
