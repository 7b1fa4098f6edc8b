"""`python -m local.relay`: Pub/Sub's push and Cloud Scheduler on one machine, from the local bus."""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import uvloop

from local.push import Pump, Push
from local.relay_identity import Tokens, ensure_keys
from local.scheduler import publish_every
from shared import logs
from shared.bus import AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS
from shared.bus.local import LocalBus
from shared.ids import utc_now

FUNCTIONS = {"auth": AUTH_EVENTS, "billing": BILLING_EVENTS, "tenants": TENANT_EVENTS}
POLL_SECONDS = 0.02
KEEP_ALIVE_SECONDS = 1.0
"""Below gunicorn's 2 s, so that no request meets a connection that is just being closed."""


class Options(msgspec.Struct, frozen=True):
    data_dir: Path
    pushes: tuple[Push, ...]
    issuer: str
    email: str
    in_flight: int
    ack_deadline_seconds: float
    retry_base_seconds: float
    retry_cap_seconds: float
    sweep_seconds: float
    tick_seconds: float


async def prepare(data_dir: Path) -> None:
    """Makes the key pair and every function's subscription, before which nothing published is kept."""
    ensure_keys(data_dir)
    bus = LocalBus(data_dir / "bus.db")
    try:
        for topic in FUNCTIONS.values():
            await bus.subscribe(topic, subscription(topic))
    finally:
        await bus.close()


def subscription(topic: str) -> str:
    """The name of the subscription that pushes a topic to its function."""
    return f"{topic}-push"


async def run(options: Options, stop: asyncio.Event) -> None:
    """Delivers and publishes by the clock until `stop`."""
    await prepare(options.data_dir)
    keys = ensure_keys(options.data_dir)
    tokens = Tokens(keys.key, utc_now, issuer=options.issuer, email=options.email)
    bus = LocalBus(
        options.data_dir / "bus.db",
        base_seconds=options.retry_base_seconds,
        cap_seconds=options.retry_cap_seconds,
    )
    limits = httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS)
    try:
        async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=None) as client:  # noqa: S113
            pumps = [
                Pump(
                    push,
                    bus,
                    client,
                    tokens,
                    in_flight=options.in_flight,
                    ack_deadline_seconds=options.ack_deadline_seconds,
                )
                for push in options.pushes
            ]
            await _run_all(options, bus, pumps, stop)
    finally:
        await bus.close()


async def _run_all(options: Options, bus: LocalBus, pumps: Sequence[Pump], stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        pumping = [group.create_task(pump.run(stop)) for pump in pumps]
        others = [group.create_task(_watch(bus, pumps))]
        for seconds, name in (
            (options.sweep_seconds, "outbox.sweep"),
            (options.tick_seconds, "billing.tick"),
        ):
            if seconds:
                others.append(group.create_task(publish_every(seconds, name, bus, utc_now)))
        await stop.wait()
        for pump in pumps:
            pump.wake()
        await asyncio.wait(pumping)
        for task in others:
            task.cancel()


async def _watch(bus: LocalBus, pumps: Sequence[Pump]) -> None:
    seen = bus.change_count()
    while True:
        await asyncio.sleep(POLL_SECONDS)
        count = bus.change_count()
        if count != seen:
            seen = count
            for pump in pumps:
                pump.wake()


def options(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m local.relay",
        description="Pushes what is on the local bus to the functions' event doors (POST /) like Eventarc"
        " and publishes what Cloud Scheduler would. A delivery is done with 200, 201 or 204; after five"
        " failures a message is a dead letter. Ends on SIGTERM or SIGINT.",
    )
    add = parser.add_argument
    add(
        "--data-dir", type=Path, required=True, help="the data folder: bus.db, relay/key.pem, relay/jwks.json"
    )
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
    given = vars(parser.parse_args(arguments))
    urls = {topic: given.pop(name) for name, topic in FUNCTIONS.items()}
    pushes = tuple(Push(subscription(topic), topic, url) for topic, url in urls.items() if url)
    return Options(pushes=pushes, **given)


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
