"""The gRPC channel to Firestore: opened by the first call, replaced when dead; calls have time-outs."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import grpc.aio
from grpc import ChannelConnectivity, StatusCode
from grpc.aio import AioRpcError

from shared.google_rpc import messages
from shared.google_rpc.channel import not_whole, open_channel
from shared.store.firestore.failures import OUTAGE, told, unavailable

T = TypeVar("T")

CALL_SECONDS = 0.85
"""Two attempts and the pause between them fit in the 2 s within which a client must hear of an outage."""

_SERVICE = "/google.firestore.v1.Firestore/"
_TARGET = "firestore.googleapis.com:443"
_SCOPE = "https://www.googleapis.com/auth/datastore"
_PAUSES_SECONDS = (0.0, 0.03, 0.15)
_TO_CONNECT_SECONDS = 2.0
_GRACE_SECONDS = 30.0
_SILENCE = frozenset({StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE})
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.service_config_disable_resolution", 1),  # no retry policy from DNS: we retry ourselves
)


class Channel:
    """A channel with the three methods that a store calls. `heard_at`, on the monotonic clock, is when the
    server last answered.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.heard_at = time.monotonic() + _TO_CONNECT_SECONDS
        self.commit: Any = channel.unary_unary(
            f"{_SERVICE}Commit",
            request_serializer=messages.CommitRequest.SerializeToString,
            response_deserializer=messages.CommitResponse.FromString,
        )
        self.batch_get: Any = channel.unary_stream(
            f"{_SERVICE}BatchGetDocuments",
            request_serializer=messages.BatchGetDocumentsRequest.SerializeToString,
            response_deserializer=messages.BatchGetDocumentsResponse.FromString,
        )
        self.run_query: Any = channel.unary_stream(
            f"{_SERVICE}RunQuery",
            request_serializer=messages.RunQueryRequest.SerializeToString,
            response_deserializer=messages.RunQueryResponse.FromString,
        )


Call = Callable[[Channel, float], Awaitable[T]]


class Connection:
    """Belongs to the event loop of its first call. `database` is `projects/<p>/databases/<d>`."""

    def __init__(self, database: str, emulator_host: str) -> None:
        self.database = database
        self._emulator_host = emulator_host
        self._metadata = [("google-cloud-resource-prefix", database)]
        if emulator_host:
            self._metadata.append(("authorization", "Bearer owner"))
        self._channel: Channel | None = None
        self._opening: asyncio.Task[Channel] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def commit(self, request: Any, seconds: float) -> Any:
        """One attempt. Raises AioRpcError and `Misconfigured`."""
        metadata = self._routed("database", request.database)

        async def once(channel: Channel, left: float) -> Any:
            return _whole([await channel.commit(request, timeout=left, metadata=metadata)])[0]

        return await self._called(once, seconds)

    async def batch_get(self, request: Any, seconds: float) -> list[Any]:
        """Raises what `failures.told` gives."""
        metadata = self._routed("database", request.database)

        async def once(channel: Channel, left: float) -> list[Any]:
            answers = [one async for one in channel.batch_get(request, timeout=left, metadata=metadata)]
            return _whole(answers, len(request.documents))

        return await self._tried(once, seconds)

    async def run_query(self, request: Any, seconds: float) -> list[Any]:
        """Raises what `failures.told` gives."""
        metadata = self._routed("parent", request.parent)

        async def once(channel: Channel, left: float) -> list[Any]:
            return _whole([one async for one in channel.run_query(request, timeout=left, metadata=metadata)])

        return await self._tried(once, seconds)

    def is_cut_off(self) -> bool:
        """Whether there is no connection. gRPC keeps trying to connect, at least once a second."""
        return (
            self._channel is not None
            and self._channel.channel.get_state() is ChannelConnectivity.TRANSIENT_FAILURE
        )

    async def close(self) -> None:
        """Waits for the calls under way."""
        if self._opening is not None:
            self._opening.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            self._give_up(channel)
        await asyncio.gather(*self._closing)

    def _routed(self, name: str, value: str) -> list[tuple[str, str]]:
        return [*self._metadata, ("x-goog-request-params", f"{name}={quote(value, safe='')}")]

    async def _tried(self, once: Call[T], seconds: float) -> T:
        """Makes a few attempts, each of at most `seconds`, within twice that time."""
        until = time.monotonic() + 2 * seconds
        for pause in _PAUSES_SECONDS:
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            left = min(seconds, until - time.monotonic())
            try:
                return await self._called(once, left)
            except AioRpcError as failure:
                last = failure
            worthwhile = until - time.monotonic() > seconds / 4
            if last.code() not in OUTAGE or self.is_cut_off() or not worthwhile:
                break
        raise told(last, self.database) from last

    async def _called(self, once: Call[T], seconds: float) -> T:
        channel = self._channel or await self._opened(seconds)
        started = time.monotonic()
        try:
            answer = await once(channel, seconds)
        except AioRpcError as failure:
            if failure.code() not in _SILENCE:
                channel.heard_at = time.monotonic()
            elif failure.code() is StatusCode.DEADLINE_EXCEEDED and channel.heard_at < started:
                self._replace(channel)
            raise
        channel.heard_at = time.monotonic()
        return answer

    def _replace(self, dead: Channel) -> None:
        """Drops a channel that no longer answers: the kernel would take minutes to notice."""
        if self._channel is dead:
            self._channel = None
            self._give_up(dead)

    def _give_up(self, channel: Channel) -> None:
        closing = asyncio.create_task(channel.channel.close(_GRACE_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _opened(self, seconds: float) -> Channel:
        """Opens the channel once for all concurrent callers, each of whom waits at most `seconds`."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_looked_at)
        try:
            return await asyncio.wait_for(asyncio.shield(self._opening), seconds)
        except TimeoutError:
            raise unavailable() from None

    async def _open(self) -> Channel:
        try:
            emulator_host = self._emulator_host
            channel = await open_channel(_TARGET, _SCOPE, emulator_host=emulator_host, options=_OPTIONS)
            self._channel = Channel(channel)
            return self._channel
        finally:
            self._opening = None


def _whole(answers: list[Any], least: int = 1) -> list[Any]:
    """The answers of a stream, if they are complete. Raises AioRpcError.

    Firestore always answers: for each document whether it exists, and for a query that found nothing. A
    stream that is cut off can end with status OK, and gRPC yields None for a message that was not received;
    without this check a document would be taken for missing.
    """
    if len(answers) < least or None in answers:
        raise not_whole()
    return answers


def _looked_at(opening: "asyncio.Task[Channel]") -> None:
    """Marks the exception as retrieved, in case no caller waits any more: it is logged already."""
    if not opening.cancelled():
        opening.exception()
