"""Publishes events on the bus of this machine, as a cluster, a meter or an operator would on the topic."""

import argparse
import asyncio
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from local import backend, broker, data_folder
from local.layout import Layout
from shared import bus, events
from shared.bus import BILLING_EVENTS, Message
from shared.errors import Misconfigured, Unavailable
from shared.events import CloudEvent
from shared.ids import is_id, new_id, utc_now

SOURCE = "//energent/local/publish"
MAX_IN_MESSAGE = 500

Published = tuple[str, Message]
"""A topic and what goes to it."""


class Refused(Exception):
    """What was asked for cannot be published; the message says what is wrong."""


def usage(
    tenant_id: str, meter: str, quantity: str, *, time: datetime, count: int, source: str
) -> Iterator[Published]:
    """`count` events of the same use, up to 500 in a message."""
    use = {
        "time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "meter": meter,
        "quantity": int(quantity) if quantity.isdigit() else quantity,
    }
    for start in range(0, count, MAX_IN_MESSAGE):
        size = min(MAX_IN_MESSAGE, count - start)
        batch = [{"id": new_id("use"), **use} for _ in range(size)]
        yield _event("usage.recorded", tenant_id, {"events": batch}, time, source)


def close(tenant_id: str, period: str, now: datetime) -> Published:
    """Asks billing for the invoice of one finished month."""
    return _event("billing.close.requested", tenant_id, {"period": period}, now, SOURCE)


def lines(text: Iterable[str], topic: str | None) -> Iterator[Published]:
    """CloudEvents in JSON, one a line, to the topics of their types. With a `topic`: as they are, unread."""
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        if topic is not None:
            yield topic, Message(line.strip().encode())
            continue
        try:
            event = msgspec.json.decode(line, type=CloudEvent)
        except msgspec.DecodeError as failure:
            raise Refused(f"line {number} is no CloudEvent: {failure}") from failure
        topics = events.DESTINATIONS.get(events.short_name(event.type) or "")
        if topics is None:
            raise Refused(f"line {number}: no topic is known for type {event.type!r}; name one with --topic")
        for each in topics:
            yield each, events.to_message(event)


async def publish(options: broker.Options, published: Sequence[Published]) -> None:
    """All of them, or none where one cannot be: `Refused`, also where no suite has been."""
    file = Layout(options.data_dir).bus
    if not options.pubsub and not file.exists():
        raise Refused(f"there is no bus in {options.data_dir}: start the suite there first (make run)")
    for topic, message in published:
        try:
            bus.check(topic, message)
        except ValueError as failure:
            raise Refused(f"Pub/Sub would not take it: {failure}") from failure
    async with broker.opened(options) as to:
        try:
            for topic, message in published:
                await to.bus.publish(topic, [message])
        except Misconfigured as missing:
            raise Refused(f"no suite is on {options.pubsub} ({missing}); make run BACKEND=gcp") from missing
        except Unavailable as failure:
            raise Refused(f"{options.pubsub or file}: {failure.detail}") from failure


def _event(name: str, tenant_id: str, data: Any, time: datetime, source: str) -> Published:
    event = events.make(name, event_id=new_id("evt"), source=source, subject=tenant_id, time=time, data=data)
    return BILLING_EVENTS, events.to_message(event)


def _describe(topic: str, message: Message) -> str:
    try:
        event = msgspec.json.decode(message.data, type=CloudEvent)
        data = msgspec.json.decode(event.data)
    except msgspec.DecodeError:
        return f"{topic}  {len(message.data)} bytes that are no CloudEvent"
    batch = data.get("events") if isinstance(data, dict) else None
    size = f"  {len(batch)} event{'s' * (len(batch) != 1)}" if isinstance(batch, list) else ""
    return f"{topic}  {event.type}  {event.subject}  {event.id}{size}"


def _tenant(text: str) -> str:
    if not is_id(text) or not text.startswith("tnt_"):
        raise argparse.ArgumentTypeError(f"{text!r} is no tenant id (tnt_…); a slug is not one")
    return text


def _source(text: str) -> str:
    if not 1 <= len(text) <= 256:
        raise argparse.ArgumentTypeError("a source has 1 to 256 characters")
    return text


def _quantity(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text) or not text.strip("0."):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 with at most six decimals")
    return text


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as failure:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-10-31T23:59:00Z") from failure
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no time zone; end it with Z or +02:00")
    return at


def _period(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no month like 2026-10")
    return text


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100000")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.publish", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".local"), help="default: %(default)s")
    what = parser.add_subparsers(dest="what", required=True, metavar="usage|event|close")

    use = what.add_parser("usage", help="usage of a meter by a tenant", description="Publishes usage events.")
    use.add_argument("--tenant", type=_tenant, required=True, metavar="ID", help="tnt_…")
    use.add_argument("--meter", required=True, help="e.g. agent_minutes")
    use.add_argument("--quantity", type=_quantity, required=True, help="above 0, at most six decimals")
    use.add_argument("--time", type=_time, help="when it was used, RFC 3339; default: now")
    use.add_argument("--count", type=_count, default=1, help="so many events of this kind; default: 1")
    use.add_argument("--source", type=_source, default=SOURCE, help="who measured it; default: %(default)s")

    event = what.add_parser("event", help="events of any kind", description="Publishes CloudEvents.")
    event.add_argument("file", metavar="FILE", help="CloudEvents in JSON, one a line; - reads from stdin")
    event.add_argument(
        "--topic", choices=bus.TOPICS, help="send the lines there as they are, even when they are broken"
    )

    month = what.add_parser("close", help="make the invoice of a month", description="Closes a month.")
    month.add_argument("--tenant", type=_tenant, required=True, metavar="ID", help="tnt_…")
    month.add_argument("--period", type=_period, required=True, help="a finished month, e.g. 2026-10")
    return parser


def _asked(options: argparse.Namespace) -> list[Published]:
    if options.what == "usage":
        time = options.time or utc_now()
        made = usage(
            options.tenant,
            options.meter,
            options.quantity,
            time=time,
            count=options.count,
            source=options.source,
        )
        return list(made)
    if options.what == "close":
        return [close(options.tenant, options.period, utc_now())]
    return list(_read(options.file, options.topic, sys.stdin))


def _read(file: str, topic: str | None, stdin: TextIO) -> Iterator[Published]:
    try:
        if file == "-":
            yield from lines(stdin, topic)
            return
        with open(file, encoding="utf-8") as text:
            yield from lines(text, topic)
    except OSError as failure:
        raise Refused(f"{file}: {failure.strerror}") from failure
    except UnicodeDecodeError as failure:
        raise Refused(f"{file}: not UTF-8") from failure


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    layout = Layout(options.data_dir.resolve())
    try:
        published = _asked(options)
        asyncio.run(publish(broker.Options(layout.root, backend.of(layout).emulators.pubsub), published))
    except Refused as refusal:
        print(f"publish: {refusal}", file=sys.stderr)
        return 1
    for topic, message in published:
        print(_describe(topic, message))
    if not data_folder.is_held(layout):
        print(f"nothing runs on {options.data_dir}: it is delivered at the next `make run`", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
