"""The bus on Google Cloud Pub/Sub, or on its emulator."""

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import grpc.aio
import msgspec
from grpc import StatusCode
from grpc.aio import AioRpcError

from shared import bus
from shared.bus import Message
from shared.errors import Unavailable
from shared.google_rpc.channel import misconfigured, not_whole, open_channel
from shared.google_rpc.messages import PublishRequest, PublishResponse

PUBLISH_SECONDS = 1.8
"""The time limit of a publish request with all its attempts, so that clients get a 503 within two seconds."""
TRY_SECONDS = 0.85
PAUSES_SECONDS = (0.0, 0.05, 0.2)
MAX_BATCH_MESSAGES = 1000
MAX_BATCH_BYTES = 9_950_000
"""Pub/Sub takes requests of 10 MB."""
MESSAGE_OVERHEAD_BYTES = 20
ATTRIBUTE_OVERHEAD_BYTES = 12

_TARGET = "pubsub.googleapis.com:443"
_SCOPE = "https://www.googleapis.com/auth/pubsub"
_REFUSALS = frozenset({StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED})

_log = logging.getLogger(__name__)


class _Connection(msgspec.Struct, frozen=True):
    channel: grpc.aio.Channel
    publish: Any


class PubSubBus:
    """`bus.Bus` for the topics of one project. With `emulator_host` (`host:port`) nothing is authenticated.

    Create it in the running event loop, to which it belongs. It starts to connect at once, because the time
    limit of the first publish is too short for that. Raises `Misconfigured`, which is an `Unavailable`, if
    the topic is missing or access is denied.
    """

    def __init__(self, project: str, *, emulator_host: str = "") -> None:
        self._project = project
        self._emulator_host = emulator_host
        self._connecting = self._connect()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Publishes in as many requests as Pub/Sub's limits require, one after the other."""
        bus.check(topic, *messages)
        for batch in batches(messages):
            await self._send(f"projects/{self._project}/topics/{topic}", batch)

    async def close(self) -> None:
        """Waits for requests under way. After this every `publish` raises `Unavailable`."""
        self._is_closed = True
        await asyncio.wait({self._connecting})
        if (present := self._present()) is not None:
            self._give_up(present)
        await asyncio.gather(*self._closing)

    async def _send(self, topic: str, batch: Sequence[Message]) -> None:
        """Publishes one batch with a few attempts. Duplicates are harmless, losses are not."""
        messages = [{"data": one.data, "attributes": one.attributes} for one in batch]
        request = PublishRequest(topic=topic, messages=messages)
        await self._connected()
        end = time.monotonic() + PUBLISH_SECONDS
        failure: AioRpcError | None = None
        for pause in PAUSES_SECONDS:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            seconds = min(TRY_SECONDS, end - time.monotonic())
            if seconds < TRY_SECONDS / 4:
                break
            connection = await self._connected()
            failure = await self._try(connection, request, seconds)
            if failure is None:
                return
        why = "no time" if failure is None else failure.code().name
        _log.warning("nothing could be published to %s: %s", topic, why)
        raise _unavailable() from failure

    async def _try(self, connection: _Connection, request: Any, seconds: float) -> AioRpcError | None:
        """One attempt. Returns a failure that is worth a retry. Raises `Misconfigured` and `Unavailable`."""
        metadata = (("x-goog-request-params", f"topic={quote(request.topic, safe='')}"),)
        try:
            answer = await connection.publish(request, timeout=seconds, metadata=metadata)
        except AioRpcError as failure:
            if failure.code() in _REFUSALS:
                raise misconfigured(f"topic {request.topic}", failure.code().name) from failure
            if failure.code() is StatusCode.INVALID_ARGUMENT:
                why = failure.details()
                _log.error("Pub/Sub does not take what is published to %s: %s", request.topic, why)
                raise _unavailable() from failure
            if failure.code() is StatusCode.DEADLINE_EXCEEDED and self._present() is connection:
                self._connecting = self._connect()
                self._give_up(connection)
            return failure
        return not_whole() if answer is None else None

    async def _connected(self) -> _Connection:
        """The connection. A cancelled caller does not cancel it for others. Raises `Misconfigured`."""
        if self._is_closed:
            raise Unavailable("bus_closed", "The bus is closed.")
        if self._connecting.done() and self._present() is None:
            self._connecting = self._connect()
        return await asyncio.shield(self._connecting)

    def _present(self) -> _Connection | None:
        """The connection; None if it is not there yet or has failed."""
        done = self._connecting
        return done.result() if done.done() and not done.cancelled() and done.exception() is None else None

    def _connect(self) -> asyncio.Task[_Connection]:
        connecting = asyncio.create_task(_connection(self._emulator_host))
        connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
        return connecting

    def _give_up(self, connection: _Connection) -> None:
        """Replaces a connection that no longer answers: the kernel would take minutes to notice."""
        closing = asyncio.create_task(connection.channel.close(TRY_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """In order, each within Pub/Sub's limits for one request."""
    batch: list[Message] = []
    room = MAX_BATCH_BYTES
    for one in messages:
        taken = bus.size(one) + MESSAGE_OVERHEAD_BYTES + len(one.attributes) * ATTRIBUTE_OVERHEAD_BYTES
        if batch and (taken > room or len(batch) == MAX_BATCH_MESSAGES):
            yield batch
            batch, room = [], MAX_BATCH_BYTES
        batch.append(one)
        room -= taken
    if batch:
        yield batch


async def _connection(emulator_host: str) -> _Connection:
    """Opens a connection. Raises `Misconfigured`."""
    channel = await open_channel(_TARGET, _SCOPE, emulator_host=emulator_host)
    channel.get_state(try_to_connect=True)
    publish = channel.unary_unary(
        "/google.pubsub.v1.Publisher/Publish",
        request_serializer=PublishRequest.SerializeToString,
        response_deserializer=PublishResponse.FromString,
    )
    return _Connection(channel, publish)


def _unavailable() -> Unavailable:
    return Unavailable("bus_unavailable", "The bus did not answer. Try again.")
