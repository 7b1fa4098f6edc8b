"""`python -m local.relay`: Pub/Sub's push and Cloud Scheduler on one machine, from a bus of this machine."""

import argparse
import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import uvloop

from local import broker, status
from local.broker import Broker, Subscriber, Subscription
from local.push import Pump, Push
from local.relay_identity import Tokens, ensure_keys
from local.scheduler import publish_every
from shared import logs
from shared.bus import dead_letters
from shared.ids import utc_now

FUNCTIONS = dead_letters.OWN_TOPICS
LEASE_MARGIN_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 1.0
"""Below gunicorn's 2 s, so that no request meets a connection that is just being closed."""


class Options(msgspec.Struct, frozen=True):
    """`functions`: base URL for each function of `FUNCTIONS` that is pushed to."""

    broker: broker.Options
    functions: dict[str, str]
    issuer: str
    email: str
    in_flight: int
    ack_deadline_seconds: float
    sweep_seconds: float
    tick_seconds: float
    status_port: int


def subscriptions(function: str) -> tuple[Subscription, Subscription]:
    """What is pushed to a function: its topic, and what failed there five times, until it is taken."""
    topic = FUNCTIONS[function]
    dead = dead_letters.topic_for(topic)
    return Subscription(f"{topic}-push", topic, dead), Subscription(topic + dead_letters.PUSH_SUFFIX, dead)


async def prepare(to: Broker) -> None:
    """Makes every function's subscriptions, before which nothing published is kept."""
    for function in FUNCTIONS:
        await to.prepare(*subscriptions(function))


async def run(options: Options, stop: asyncio.Event) -> None:
    """Delivers and publishes by the clock until `stop`."""
    keys = ensure_keys(options.broker.data_dir)
    tokens = Tokens(keys.key, utc_now, issuer=options.issuer, email=options.email)
    limits = httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(broker.opened(options.broker))
        await prepare(source)
        client = httpx.AsyncClient(trust_env=False, limits=limits, timeout=None)  # noqa: S113
        await stack.enter_async_context(client)
        subscribers: dict[str, Subscriber] = {}
        pumps = []
        for function, url in options.functions.items():
            for subscription in subscriptions(function):
                subscriber = source.subscriber(subscription)
                stack.push_async_callback(subscriber.close)
                subscribers[subscription.name] = subscriber
                push = Push(url, source.project, is_bare=not subscription.dead_letter_topic)
                pumps.append(_pump(push, subscriber, client, tokens, options))
        await _run_all(options, source, subscribers, pumps, stop)


def _pump(
    push: Push, subscriber: Subscriber, client: httpx.AsyncClient, tokens: Tokens, options: Options
) -> Pump:
    return Pump(
        push,
        subscriber,
        client,
        tokens,
        in_flight=options.in_flight,
        ack_deadline_seconds=options.ack_deadline_seconds,
    )


async def _run_all(
    options: Options,
    source: Broker,
    subscribers: Mapping[str, Subscriber],
    pumps: Sequence[Pump],
    stop: asyncio.Event,
) -> None:
    async with asyncio.TaskGroup() as group:
        pumping = [group.create_task(pump.run(stop)) for pump in pumps]
        others = []
        if options.status_port:
            others.append(group.create_task(status.serve(options.status_port, subscribers)))
        for seconds, name in (
            (options.sweep_seconds, "outbox.sweep"),
            (options.tick_seconds, "billing.tick"),
        ):
            if seconds:
                others.append(group.create_task(publish_every(seconds, name, source.bus, utc_now)))
        await stop.wait()
        if pumping:
            await asyncio.wait(pumping)
        for task in others:
            task.cancel()


def options(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m local.relay",
        description="Pushes what is on the bus to the functions' event doors (POST /) like Eventarc and"
        " publishes what Cloud Scheduler would. A delivery is done with 200, 201 or 204; after five failures"
        " a message is a dead letter, pushed to the same door until it is taken. Ends on SIGTERM or SIGINT.",
    )
    add = parser.add_argument
    add(
        "--data-dir", type=Path, required=True, help="the data folder: bus.db, relay/key.pem, relay/jwks.json"
    )
    broker.add_arguments(parser)
    for name, topic in FUNCTIONS.items():
        add(
            f"--{name}",
            type=_base_url,
            metavar="URL",
            help=f"base URL that {topic} is pushed to (none: kept)",
        )
    add("--in-flight", type=_count, default=8, help="deliveries at once for each function (%(default)s)")
    add("--ack-deadline-seconds", type=_positive, default=60.0, help="time for one answer (%(default)s)")
    add("--retry-base-seconds", type=_positive, default=0.5, help="first delay, then doubled (%(default)s)")
    add("--retry-cap-seconds", type=_positive, default=60.0, help="longest delay (%(default)s)")
    add("--sweep-seconds", type=_seconds, default=5.0, help="outbox.sweep this often, 0: never (%(default)s)")
    add(
        "--tick-seconds",
        type=_seconds,
        default=3600.0,
        help="billing.tick this often, 0: never (%(default)s)",
    )
    add("--issuer", default="http://127.0.0.1/local-relay", help="iss of its identity tokens (%(default)s)")
    add("--email", default="relay@local.invalid", help="email of its identity tokens (%(default)s)")
    status.add_argument(parser)
    return _options(vars(parser.parse_args(arguments)))


def _options(given: dict[str, Any]) -> Options:
    functions = {name: given.pop(name) for name in FUNCTIONS}
    source = broker.Options(
        data_dir=given.pop("data_dir"),
        pubsub=given.pop("pubsub"),
        project=given.pop("project"),
        retry_base_seconds=given.pop("retry_base_seconds"),
        retry_cap_seconds=given.pop("retry_cap_seconds"),
        lease_seconds=given["ack_deadline_seconds"] + LEASE_MARGIN_SECONDS,
    )
    return Options(broker=source, functions={name: url for name, url in functions.items() if url}, **given)


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise argparse.ArgumentTypeError(f"{text!r} is not like http://127.0.0.1:8081")
    return f"{parts.scheme}://{parts.netloc}"


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 1000:
        raise argparse.ArgumentTypeError("from 1 to 1000")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("a number of seconds, not below 0")
    return seconds


def _positive(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("a number of seconds above 0")
    return seconds


async def _main(chosen: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(chosen, stop)


def main() -> None:
    logs.configure()
    uvloop.run(_main(options()))


if __name__ == "__main__":
    main()
