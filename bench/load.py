"""An HTTP/1.1 load generator: N connections, each sends its next request on its answer or at its time."""

import asyncio
import re
import time
from collections.abc import Callable

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Reply(msgspec.Struct, frozen=True):
    """`body` is as it came: in chunks, where the server sends chunks."""

    status: int
    body: bytes


class Measured(msgspec.Struct, frozen=True):
    """What one run gave. Latencies in milliseconds, sorted."""

    seconds: float
    latencies_ms: list[float]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        last = len(self.latencies_ms) - 1
        return self.latencies_ms[min(last, int(len(self.latencies_ms) * percent / 100))]


NextRequest = Callable[[Reply | None], bytes]
"""Given the answer to the connection's last request (None at first), the bytes of its next one."""


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One request as bytes; Host and Content-Length are added."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def length_of(head: bytes) -> int:
    """How many bytes follow an answer's head, which ends with its empty line."""
    found = _LENGTH.search(head)
    return int(found.group(1)) if found else 0


class _Connection(asyncio.Protocol):
    def __init__(
        self, next_request: NextRequest, until: float, interval: float, done: asyncio.Future[None]
    ) -> None:
        self._next = next_request
        self._until = until
        self._interval = interval
        self._done = done
        self._buffer = b""
        self._sent = 0.0
        self.latencies_ms: list[float] = []
        self.statuses: dict[int, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sent = time.perf_counter()
        self._transport.write(self._next(None))

    def _send(self, reply: Reply) -> None:
        """At once, or at the time that the pace has for it: what is late by then counts as waited for."""
        payload = self._next(reply)
        now = time.perf_counter()
        due = self._sent + self._interval if self._interval else now
        self._sent = due
        if due <= now:
            self._transport.write(payload)
        else:
            asyncio.get_running_loop().call_later(due - now, self._transport.write, payload)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        reply = self._take()
        if reply is None:
            return
        now = time.perf_counter()
        self.latencies_ms.append((now - self._sent) * 1000)
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        if now < self._until:
            self._send(reply)
        else:
            self._next(reply)  # which may keep what the last answer brought
            self._transport.close()

    def _take(self) -> Reply | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._buffer[:end]
        if not _LENGTH.search(head) and _CHUNKED.search(head):
            size = self._buffer.find(_LAST_CHUNK, end + 2) + len(_LAST_CHUNK) - end - 4
            if size < 0:
                return None
        else:
            size = length_of(head)
        if len(self._buffer) < end + 4 + size:
            return None
        body = self._buffer[end + 4 : end + 4 + size]
        self._buffer = self._buffer[end + 4 + size :]
        return Reply(int(head[9:12]), body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def run(
    port: int, seconds: float, connections: list[NextRequest], *, per_second: float | None = None
) -> Measured:
    """Loads 127.0.0.1:`port` for `seconds` with one connection for each `NextRequest`: as fast as answers
    come, or `per_second` requests over all of them, evenly spread.
    """
    loop = asyncio.get_running_loop()
    interval = len(connections) / per_second if per_second else 0.0
    started = time.perf_counter()
    made: list[_Connection] = []
    ends: list[asyncio.Future[None]] = []
    for next_request in connections:
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(next_request, started + seconds, interval, done)
        await loop.create_connection(lambda c=connection: c, "127.0.0.1", port)  # type: ignore[misc]
        made.append(connection)
        ends.append(done)
        if interval:
            await asyncio.sleep(interval / len(connections))
    await asyncio.wait_for(asyncio.gather(*ends), seconds + 30)
    statuses: dict[int, int] = {}
    for connection in made:
        for status, count in connection.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return Measured(
        time.perf_counter() - started,
        sorted(latency for connection in made for latency in connection.latencies_ms),
        statuses,
    )
