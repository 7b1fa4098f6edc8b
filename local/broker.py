"""Where this machine's messages are: the file of the local bus, or Google's Pub/Sub emulator."""

import argparse
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from local.layout import Layout
from shared.bus import Bus
from shared.bus.tables import Leased

PROJECT = "energent-local"


class Subscription(msgspec.Struct, frozen=True):
    """`dead_letter_topic`: where what fails five times goes; empty: it is tried for ever."""

    name: str
    topic: str
    dead_letter_topic: str = ""


class Subscriber(Protocol):
    """One subscription, for the one process that consumes it. Each call may raise `Unavailable`."""

    leased_count: int
    """How many deliveries `lease` has given so far."""

    async def lease(self, limit: int) -> list[Leased]:
        """Up to `limit` deliveries that are due now, each for one of `ack`, `nack` and `release`."""

    async def wait(self) -> None:
        """Until `lease` may find something. May be cancelled at any time."""

    async def ack(self, leased: Leased) -> None:
        """It is done."""

    async def nack(self, leased: Leased) -> None:
        """It failed: it comes again after a growing delay, or is a dead letter after the fifth time."""

    async def release(self, leased: Leased) -> None:
        """It was not tried: it comes again, and this was no attempt."""

    async def pending(self) -> int:
        """Messages that are not acknowledged, those in flight included; never too few."""

    async def close(self) -> None:
        """What is leased or waits for its next try is given back."""


class Broker(Protocol):
    """`project` is the one that subscriptions and topics are said to be in."""

    project: str
    bus: Bus

    async def prepare(self, *subscriptions: Subscription) -> None:
        """Makes what is missing: before it has a subscription a topic keeps nothing."""

    def subscriber(self, subscription: Subscription) -> Subscriber: ...

    async def close(self) -> None: ...


class Options(msgspec.Struct, frozen=True):
    """`pubsub` is the emulator's `host:port`; None: the local bus in the data folder."""

    data_dir: Path
    pubsub: str | None = None
    project: str = PROJECT
    retry_base_seconds: float = 0.5
    retry_cap_seconds: float = 60.0
    lease_seconds: float = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--pubsub` and `--project`; the data folder has a flag of its own with each program."""
    parser.add_argument(
        "--pubsub",
        type=_host,
        metavar="HOST:PORT",
        help="use the Pub/Sub emulator there, not the bus in the data folder",
    )
    parser.add_argument(
        "--project", default=PROJECT, help="the project on the emulator; default: %(default)s"
    )


@asynccontextmanager
async def opened(options: Options) -> AsyncIterator[Broker]:
    """The broker, closed in the end."""
    broker = _broker(options)
    try:
        yield broker
    finally:
        await broker.close()


def _broker(options: Options) -> Broker:
    if options.pubsub:
        from local.google.pubsub import PubSubBroker  # noqa: PLC0415 - needs Google's clients

        return PubSubBroker(options.pubsub, options)
    from local.bus_file import FileBroker  # noqa: PLC0415

    return FileBroker(Layout(options.data_dir).bus, options)


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+:[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 127.0.0.1:8085")
    return text
