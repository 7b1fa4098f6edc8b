"""Calls of Secret Manager's methods: the connection, time-outs, tries, and one meaning for each error."""

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import grpc.aio
from grpc import StatusCode
from grpc.aio import AioRpcError

from shared.errors import Unavailable
from shared.google_rpc import messages
from shared.google_rpc.channel import misconfigured, not_whole, open_channel

CALL_SECONDS = 1.8
"""For a call with all its tries, so that a caller has its 503 within two seconds."""
TRY_SECONDS = 0.9
PAUSES_SECONDS = (0.05, 0.2)

_TARGET = "secretmanager.googleapis.com:443"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SERVICE = "/google.cloud.secretmanager.v1.SecretManagerService/"
_METHODS: Mapping[str, tuple[Any, Any]] = {
    "AccessSecretVersion": (messages.AccessSecretVersionRequest, messages.AccessSecretVersionResponse),
    "AddSecretVersion": (messages.AddSecretVersionRequest, messages.SecretVersion),
    "CreateSecret": (messages.CreateSecretRequest, messages.Secret),
    "DestroySecretVersion": (messages.DestroySecretVersionRequest, messages.SecretVersion),
    "DisableSecretVersion": (messages.DisableSecretVersionRequest, messages.SecretVersion),
    "EnableSecretVersion": (messages.EnableSecretVersionRequest, messages.SecretVersion),
    "ListSecretVersions": (messages.ListSecretVersionsRequest, messages.ListSecretVersionsResponse),
}
"""What each takes, and what it answers."""
_REFUSALS = frozenset(
    {
        StatusCode.NOT_FOUND,
        StatusCode.ALREADY_EXISTS,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.PERMISSION_DENIED,
    }
)

_log = logging.getLogger(__name__)


class Refused(Exception):
    """Google's final word on a call: one of `_REFUSALS`, and the sentence that came with it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Calls:
    """Of one process and loop. With `emulator_host` (`host:port`) nothing is authenticated."""

    def __init__(self, emulator_host: str) -> None:
        self._emulator_host = emulator_host
        self._connecting = asyncio.Lock()
        self._channel: grpc.aio.Channel | None = None
        self._is_closed = False

    async def ask(self, path: str, method: str, request: Mapping[str, object]) -> Any:
        """What Secret Manager's `method` answers; it is about `path`.

        Tries again in an outage. Raises `Refused`, `Misconfigured`, `Unavailable`.
        """
        channel = await self._connected()
        end = time.monotonic() + CALL_SECONDS
        for pause in (*PAUSES_SECONDS, CALL_SECONDS):
            seconds = min(TRY_SECONDS, end - time.monotonic())
            try:
                return await _called(channel, method, request, seconds)
            except AioRpcError as failure:
                status = failure.code()
                if status in _REFUSALS:
                    raise Refused(status.name, failure.details() or "") from failure
                if status is StatusCode.UNAUTHENTICATED:
                    raise misconfigured("Secret Manager", status.name) from failure
                if status is StatusCode.DEADLINE_EXCEEDED:
                    self._give_up(channel)
                if time.monotonic() + pause >= end:
                    raise unavailable(path, status.name) from failure
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            channel = await self._connected()

    async def close(self) -> None:
        """What is on its way has its time; after this every `ask` raises `Unavailable`."""
        self._is_closed = True
        async with self._connecting:
            if self._channel is not None:
                await self._channel.close(CALL_SECONDS)

    async def _connected(self) -> grpc.aio.Channel:
        async with self._connecting:
            if self._is_closed:
                raise Unavailable("secrets_closed", "The secrets are closed.")
            if self._channel is None:
                self._channel = await open_channel(_TARGET, _SCOPE, emulator_host=self._emulator_host)
            return self._channel

    def _give_up(self, channel: grpc.aio.Channel) -> None:
        """For a new one: on a dead connection nothing comes back until the kernel gives it up, after many
        minutes. The channel closes itself when the last call on it has ended.
        """
        if self._channel is channel:
            self._channel = None


async def _called(
    channel: grpc.aio.Channel, method: str, request: Mapping[str, object], seconds: float
) -> Any:
    """One try. Raises AioRpcError."""
    taken, answered = _METHODS[method]
    call = channel.unary_unary(
        f"{_SERVICE}{method}",
        request_serializer=taken.SerializeToString,
        response_deserializer=answered.FromString,
    )
    about = "name" if "name" in request else "parent"
    metadata = (("x-goog-request-params", f"{about}={quote(str(request[about]), safe='')}"),)
    answer = await call(taken(**request), timeout=seconds, metadata=metadata)
    if answer is None:
        raise not_whole()
    return answer


def unavailable(resource: str, why: str) -> Unavailable:
    _log.warning("Secret Manager does not serve %s: %s", resource, why)
    return Unavailable("secrets_unavailable", "A secret could not be read. Try again.")
