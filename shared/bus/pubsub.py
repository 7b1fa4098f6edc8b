"""The bus on Google Cloud Pub/Sub, or on its emulator."""

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import google.auth
import grpc.aio
import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport

from shared import bus
from shared.bus import Message
from shared.errors import Misconfigured, Unavailable

PUBLISH_SECONDS = 1.8
"""For one request with all its tries, so that a caller has its 503 within two seconds."""
TRY_SECONDS = 0.85
PAUSES_SECONDS = (0.0, 0.05, 0.2)
MAX_BATCH_MESSAGES = 1000
MAX_BATCH_BYTES = 9_950_000
"""Pub/Sub takes requests of 10 MB."""
MESSAGE_OVERHEAD_BYTES = 20
ATTRIBUTE_OVERHEAD_BYTES = 12

SCOPE = "https://www.googleapis.com/auth/pubsub"
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
)
"""Left alone, gRPC waits up to two minutes before it connects again, and channels share a connection, so that
giving one up is in vain."""
LOCAL_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))
"""For the emulator, which no proxy knows."""

_log = logging.getLogger(__name__)


class _Connection(msgspec.Struct, frozen=True):
    channel: grpc.aio.Channel
    publisher: PublisherAsyncClient


class PubSubBus:
    """`bus.Bus` for the topics of one project. With `emulator_host` (`host:port`) nothing is authenticated.

    To be made inside of the running event loop, which it belongs to: it begins to connect at once, since the
    first publish is not given the time. Raises `Misconfigured`, which is an `Unavailable`, where the topic is
    missing or may not be published to.
    """

    def __init__(self, project: str, *, emulator_host: str = "") -> None:
        self._project = project
        self._emulator_host = emulator_host
        self._connecting = self._connect()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """In as many requests as Pub/Sub's limits ask for, one after the other."""
        bus.check(topic, *messages)
        for batch in batches(messages):
            await self._send(f"projects/{self._project}/topics/{topic}", batch)

    async def close(self) -> None:
        """What is on its way has its time; after this every `publish` raises `Unavailable`."""
        self._is_closed = True
        await asyncio.wait({self._connecting})
        if (present := self._present()) is not None:
            self._give_up(present)
        await asyncio.gather(*self._closing)

    async def _send(self, topic: str, batch: Sequence[Message]) -> None:
        """A few tries: what is published twice is no harm, and not at all is."""
        messages = [{"data": message.data, "attributes": message.attributes} for message in batch]
        request = {"topic": topic, "messages": messages}
        await self._connected()
        end = time.monotonic() + PUBLISH_SECONDS
        failure: Exception | None = None
        for pause in PAUSES_SECONDS:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            seconds = min(TRY_SECONDS, end - time.monotonic())
            if seconds < TRY_SECONDS / 4:
                break
            connection = await self._connected()
            failure = await self._try(connection, request, seconds)
            if failure is None:
                return
        _log.warning("nothing could be published to %s: %s", topic, type(failure).__name__)
        raise _unavailable() from failure

    async def _try(self, connection: _Connection, request: Any, seconds: float) -> Exception | None:
        """What another try may heal. Raises `Misconfigured`, and `Unavailable` where none does."""
        try:
            answer = await connection.publisher.publish(request=request, retry=None, timeout=seconds)
        except (exceptions.NotFound, exceptions.PermissionDenied, exceptions.Unauthenticated) as refusal:
            raise _misconfigured(f"topic {request['topic']}", refusal) from refusal
        except exceptions.InvalidArgument as refusal:
            _log.error("Pub/Sub does not take what is published to %s: %s", request["topic"], refusal.message)
            raise _unavailable() from refusal
        except exceptions.GoogleAPICallError as failure:
            if isinstance(failure, exceptions.DeadlineExceeded) and self._present() is connection:
                self._connecting = self._connect()
                self._give_up(connection)
            return failure
        # gRPC makes None of an answer that was cut off, and calls it a success.
        return exceptions.InternalServerError("no message ids") if answer is None else None

    async def _connected(self) -> _Connection:
        """Shielded: a caller who gives up does not stop what others wait for. Raises `Misconfigured`."""
        if self._is_closed:
            raise Unavailable("bus_closed", "The bus is closed.")
        if self._connecting.done() and self._present() is None:
            self._connecting = self._connect()
        return await asyncio.shield(self._connecting)

    def _present(self) -> _Connection | None:
        """None while there is none yet, and where none could be made."""
        done = self._connecting
        return done.result() if done.done() and not done.cancelled() and done.exception() is None else None

    def _connect(self) -> asyncio.Task[_Connection]:
        connecting = asyncio.create_task(_connection(self._emulator_host))
        connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
        return connecting

    def _give_up(self, connection: _Connection) -> None:
        """For a new one: where nothing comes back any more, nothing will until the kernel gives it up."""
        closing = asyncio.create_task(connection.channel.close(TRY_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """In order, each within Pub/Sub's limits for one request."""
    batch: list[Message] = []
    room = MAX_BATCH_BYTES
    for message in messages:
        taken = (
            bus.size(message) + MESSAGE_OVERHEAD_BYTES + len(message.attributes) * ATTRIBUTE_OVERHEAD_BYTES
        )
        if batch and (taken > room or len(batch) == MAX_BATCH_MESSAGES):
            yield batch
            batch, room = [], MAX_BATCH_BYTES
        batch.append(message)
        room -= taken
    if batch:
        yield batch


async def _connection(emulator_host: str) -> _Connection:
    """On its way. Raises `Misconfigured`."""
    if emulator_host:
        channel = grpc.aio.insecure_channel(emulator_host, options=LOCAL_OPTIONS)
    else:
        try:
            # It asks files and the network.
            credentials, _ = await asyncio.to_thread(google.auth.default, scopes=[SCOPE])
        except GoogleAuthError as failure:
            raise _misconfigured("default credentials", failure) from failure
        channel = PublisherGrpcAsyncIOTransport.create_channel(
            "pubsub.googleapis.com:443", credentials=credentials, options=CHANNEL_OPTIONS
        )
    channel.get_state(try_to_connect=True)
    return _Connection(
        channel, PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
    )


def _unavailable() -> Unavailable:
    return Unavailable("bus_unavailable", "The bus did not answer. Try again.")


def _misconfigured(resource: str, refusal: Exception) -> Misconfigured:
    misconfigured = Misconfigured(resource, type(refusal).__name__)
    _log.error("%s", misconfigured)
    return misconfigured
