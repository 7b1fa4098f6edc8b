"""The bus on Google Cloud Pub/Sub, or on its emulator. The client is made on the first publish."""

import asyncio
import importlib
import logging
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from shared import bus
from shared.bus import Message
from shared.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    import grpc
    from google.auth.credentials import Credentials
    from google.pubsub_v1.services.publisher import PublisherAsyncClient

PUBLISH_SECONDS = 1.8
"""For one request with all its tries, so that a caller has its 503 within two seconds."""
PAUSES_SECONDS = (0.05, 0.2)
MAX_BATCH_MESSAGES = 1000
MAX_BATCH_BYTES = 9_950_000
"""Pub/Sub takes requests of 10 MB."""
MESSAGE_OVERHEAD_BYTES = 20
ATTRIBUTE_OVERHEAD_BYTES = 12

SCOPE = "https://www.googleapis.com/auth/pubsub"
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
"""Messages go up to 10 MB, over gRPC's own limit of 4; its pauses between connections, up to two minutes."""

_log = logging.getLogger(__name__)


class PubSubBus:
    """`bus.Bus` for the topics of one project. With `emulator_host` (`host:port`) nothing is authenticated.

    Raises `Misconfigured`, which is an `Unavailable`, where the topic is missing or may not be published to.
    """

    def __init__(self, project: str, *, emulator_host: str = "") -> None:
        self._project = project
        self._emulator_host = emulator_host
        self._connecting = asyncio.Lock()
        self._channel: grpc.aio.Channel | None = None
        self._publisher: PublisherAsyncClient | None = None
        self._is_closed = False

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """In as many requests as Pub/Sub's limits ask for, one after the other."""
        bus.check(topic, *messages)
        for batch in batches(messages):
            await self._send(f"projects/{self._project}/topics/{topic}", batch)

    async def close(self) -> None:
        """What is on its way has its time; after this every `publish` raises `Unavailable`."""
        self._is_closed = True
        async with self._connecting:
            if self._channel is not None:
                await self._channel.close(PUBLISH_SECONDS)

    async def _send(self, topic: str, batch: Sequence[Message]) -> None:
        publisher = await self._connected()
        from google.api_core import exceptions as api  # noqa: PLC0415 - costs nothing after `_connected`

        end = time.monotonic() + PUBLISH_SECONDS
        messages = [{"data": message.data, "attributes": message.attributes} for message in batch]
        request = {"topic": topic, "messages": messages}
        for pause in (*PAUSES_SECONDS, PUBLISH_SECONDS):
            try:
                await publisher.publish(request=request, retry=None, timeout=end - time.monotonic())
                return
            except (api.NotFound, api.PermissionDenied, api.Unauthenticated) as refusal:
                raise _misconfigured(f"topic {topic}", refusal) from refusal
            except api.GoogleAPICallError as failure:
                if isinstance(failure, api.InvalidArgument) or time.monotonic() + pause >= end:
                    raise _unavailable(topic, failure) from failure
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _connected(self) -> "PublisherAsyncClient":
        async with self._connecting:
            if self._is_closed:
                raise Unavailable("bus_closed", "The bus is closed.")
            if self._publisher is None:
                self._channel, self._publisher = await _connect(self._emulator_host)
            return self._publisher


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


async def _connect(emulator_host: str) -> "tuple[grpc.aio.Channel, PublisherAsyncClient]":
    """Google's own settings in the environment are not looked at. Raises `Misconfigured`."""
    # Importing takes a fifth of a second in which this loop would answer nobody.
    await asyncio.to_thread(importlib.import_module, "google.pubsub_v1")
    import grpc  # noqa: PLC0415
    from google.pubsub_v1.services.publisher import PublisherAsyncClient  # noqa: PLC0415
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport  # noqa: PLC0415

    if emulator_host:
        channel = grpc.aio.insecure_channel(emulator_host, options=CHANNEL_OPTIONS)
    else:
        channel = PublisherGrpcAsyncIOTransport.create_channel(
            "pubsub.googleapis.com:443", credentials=await _credentials(), options=CHANNEL_OPTIONS
        )
    return channel, PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))


async def _credentials() -> "Credentials":
    """The service account's; finding it asks files and the network."""
    import google.auth  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        found, _ = await asyncio.to_thread(google.auth.default, scopes=[SCOPE])
    except GoogleAuthError as failure:
        raise _misconfigured("default credentials", failure) from failure
    return found


def _misconfigured(resource: str, refusal: Exception) -> Misconfigured:
    misconfigured = Misconfigured(resource, type(refusal).__name__)
    _log.error("%s", misconfigured)
    return misconfigured


def _unavailable(topic: str, failure: Exception) -> Unavailable:
    _log.warning("nothing could be published to %s: %s", topic, type(failure).__name__)
    return Unavailable("bus_unavailable", "The bus did not answer. Try again.")
