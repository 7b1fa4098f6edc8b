"""Calls of Secret Manager's methods: the connection, time-outs, tries, and one meaning for each error."""

import asyncio
import importlib
import logging
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from shared.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

CALL_SECONDS = 1.8
"""For a call with all its tries, so that a caller has its 503 within two seconds."""
TRY_SECONDS = 0.9
PAUSES_SECONDS = (0.05, 0.2)
ENDPOINT = "secretmanager.googleapis.com:443"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
)
"""gRPC would wait up to two minutes before it connects again, and share connections between channels, so that
to give one up were in vain."""
LOCAL_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))
"""For the stand-in, which no proxy knows."""

_REFUSALS = frozenset(["NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "PERMISSION_DENIED"])

_log = logging.getLogger(__name__)


class Refused(Exception):
    """Google's final word on a call: one of `_REFUSALS`, and the sentence that came with it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class _Connection(msgspec.Struct, frozen=True):
    """A `grpc.aio.Channel` and the client on it."""

    channel: Any
    client: Any


class Calls:
    """Of one process and loop. With `emulator_host` (`host:port`) nothing is authenticated."""

    def __init__(self, emulator_host: str) -> None:
        self._emulator_host = emulator_host
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None
        self._is_closed = False

    async def ask(self, path: str, method: str, request: Mapping[str, object]) -> Any:
        """What the client's method answers, of a list its first page; it is about `path`.

        Tries again in an outage. Raises `Refused`, `Misconfigured`, `Unavailable`.
        """
        connection = await self._connected()
        from google.api_core import exceptions  # noqa: PLC0415 - loaded by `_connected`

        end = time.monotonic() + CALL_SECONDS
        for pause in (*PAUSES_SECONDS, CALL_SECONDS):
            seconds = min(TRY_SECONDS, end - time.monotonic())
            try:
                answer = await getattr(connection.client, method)(
                    request=request, retry=None, timeout=seconds
                )
                if hasattr(type(answer), "pages"):
                    answer = await anext(answer.pages)
                if answer is None:  # gRPC makes that of an answer that was cut off, and calls it a success
                    raise exceptions.InternalServerError("no message")  # type: ignore[no-untyped-call]
                return answer
            except exceptions.GoogleAPICallError as failure:
                status = failure.grpc_status_code.name if failure.grpc_status_code else "UNKNOWN"
                if status in _REFUSALS:
                    raise Refused(status, failure.message) from failure
                if status == "UNAUTHENTICATED":
                    raise _misconfigured("Secret Manager", status) from failure
                if status == "DEADLINE_EXCEEDED":
                    self._give_up(connection)
                if time.monotonic() + pause >= end:
                    raise unavailable(path, status) from failure
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            connection = await self._connected()

    async def close(self) -> None:
        """What is on its way has its time; after this every `ask` raises `Unavailable`."""
        self._is_closed = True
        async with self._connecting:
            if self._connection is not None:
                await self._connection.channel.close(CALL_SECONDS)

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._is_closed:
                raise Unavailable("secrets_closed", "The secrets are closed.")
            if self._connection is None:
                self._connection = await _connect(self._emulator_host)
            return self._connection

    def _give_up(self, connection: _Connection) -> None:
        """For a new one: on a dead connection nothing comes back until the kernel gives it up, after many
        minutes. The channel closes itself when the last call on it has ended.
        """
        if self._connection is connection:
            self._connection = None


async def _connect(emulator_host: str) -> _Connection:
    """Google's own settings in the environment are not looked at. Raises `Misconfigured`."""
    # Importing takes a fifth of a second in which this loop would answer nobody.
    await asyncio.to_thread(importlib.import_module, "google.cloud.secretmanager_v1")
    import grpc  # noqa: PLC0415
    from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient  # noqa: PLC0415
    from google.cloud.secretmanager_v1.services.secret_manager_service import transports  # noqa: PLC0415

    # On DEBUG, which the environment can ask for, the transport would log whole requests and answers.
    logging.getLogger(transports.grpc_asyncio.__name__).setLevel(logging.INFO)
    transport = transports.SecretManagerServiceGrpcAsyncIOTransport
    if emulator_host:
        channel = grpc.aio.insecure_channel(emulator_host, options=LOCAL_OPTIONS)
    else:
        credentials = await _credentials()
        channel = transport.create_channel(ENDPOINT, credentials=credentials, options=CHANNEL_OPTIONS)
    return _Connection(channel, SecretManagerServiceAsyncClient(transport=transport(channel=channel)))


async def _credentials() -> "Credentials":
    """The service account's; finding it asks files and the network."""
    import google.auth  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        found, _ = await asyncio.to_thread(google.auth.default, scopes=[SCOPE])
    except GoogleAuthError as failure:
        raise _misconfigured("default credentials", type(failure).__name__) from failure
    return found


def _misconfigured(resource: str, refusal: str) -> Misconfigured:
    misconfigured = Misconfigured(resource, refusal)
    _log.error("%s", misconfigured)
    return misconfigured


def unavailable(resource: str, why: str) -> Unavailable:
    _log.warning("Secret Manager does not serve %s: %s", resource, why)
    return Unavailable("secrets_unavailable", "A secret could not be read. Try again.")
