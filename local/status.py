"""What a consumer of a bus has left to do, told over HTTP on this machine."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence

import httpx
import msgspec

from local.broker import Subscriber
from local.ports import HOST
from shared.errors import Unavailable

PATH = "/pending"
READ_SECONDS = 5.0


class Status(msgspec.Struct, frozen=True):
    """`pending`: messages of each subscription that are not acknowledged. `leased`: deliveries so far."""

    pending: dict[str, int]
    leased: int


def add_argument(parser: argparse.ArgumentParser) -> None:
    """`--status-port`."""
    parser.add_argument(
        "--status-port",
        type=_port,
        default=0,
        metavar="PORT",
        help=f"answer GET {PATH} on {HOST} with what is not acknowledged yet (0: not)",
    )


async def serve(port: int, subscribers: Mapping[str, Subscriber]) -> None:
    """Answers until it is cancelled: 200 with a `Status`, 503 while the bus cannot be read."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _response(head, subscribers))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, HOST, port)
    async with server:
        await server.serve_forever()


def read(url: str) -> Status | None:
    """Of the process that serves at `http://host:port`; None where there is no answer."""
    try:
        # Nothing is encrypted on this machine; to load the world's certificates takes longer than to ask.
        response = httpx.get(url + PATH, trust_env=False, verify=False, timeout=READ_SECONDS)  # noqa: S501
        response.raise_for_status()
    except httpx.HTTPError:
        return None
    return msgspec.json.decode(response.content, type=Status)


def are_drained(urls: Sequence[str]) -> bool:
    """Whether nothing is left at any of them.

    They are asked twice, and nothing may have happened meanwhile: what one of them finishes can be work for
    another that was asked before.
    """
    first = [read(url) for url in urls]
    if not all(status is not None and not any(status.pending.values()) for status in first):
        return False
    return [read(url) for url in urls] == first


async def _response(head: bytes, subscribers: Mapping[str, Subscriber]) -> bytes:
    if not head.startswith(f"GET {PATH} HTTP/1.".encode()):
        return _http("404 Not Found", b"")
    try:
        pending = {name: await subscriber.pending() for name, subscriber in subscribers.items()}
    except Unavailable:
        return _http("503 Service Unavailable", b"")
    leased = sum(subscriber.leased_count for subscriber in subscribers.values())
    return _http("200 OK", msgspec.json.encode(Status(pending, leased)))


def _http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)
