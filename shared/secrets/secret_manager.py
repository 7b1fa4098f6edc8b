"""Secrets in Google's Secret Manager, or in its local stand-in. The client is made on the first call."""

import asyncio
import importlib
import logging
import random
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.errors import Misconfigured, Unavailable
from shared.secrets import SecretUnusable, SecretVersion, State, check_name, check_value

if TYPE_CHECKING:
    import grpc
    from google.auth.credentials import Credentials
    from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient, types

CALL_SECONDS = 1.8
"""For a call with all its tries, so that a caller has its 503 within two seconds."""
TRY_SECONDS = 0.9
PAUSES_SECONDS = (0.05, 0.2)
PAGE_VERSIONS = 1000
ENDPOINT = "secretmanager.googleapis.com:443"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CHANNEL_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000))
"""gRPC's own pauses between connections go up to two minutes."""

_REFUSALS = frozenset(["NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "PERMISSION_DENIED"])
_STATES: Mapping[str, State] = {"ENABLED": "enabled", "DISABLED": "disabled", "DESTROYED": "destroyed"}
_CHANGES: Mapping[State, str] = {
    "enabled": "enable_secret_version",
    "disabled": "disable_secret_version",
    "destroyed": "destroy_secret_version",
}

_log = logging.getLogger(__name__)


class _Refused(Exception):
    """Google's final word on a call: one of `_REFUSALS`, and the sentence that came with it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message

    @property
    def state(self) -> State | None:
        """The state that a version is in, where that is why."""
        if self.status != "FAILED_PRECONDITION":
            return None
        return next((state for word, state in _STATES.items() if f"in {word} state" in self.message), None)


class SecretManager:
    """`shared.secrets.Secrets` in one project: the secret `name` is `<prefix><name>` there.

    `labels` are given to the secrets that are made here. With `emulator_host` (`host:port`) nothing is
    authenticated. Where a right is missing, `SecretUnusable` names the role to grant.
    """

    def __init__(
        self, project: str, *, prefix: str, labels: Mapping[str, str] | None = None, emulator_host: str = ""
    ) -> None:
        self._project = f"projects/{project}"
        self._prefix = prefix
        self._labels = dict(labels or {})
        self._emulator_host = emulator_host
        self._connecting = asyncio.Lock()
        self._channel: grpc.aio.Channel | None = None
        self._client: SecretManagerServiceAsyncClient | None = None
        self._is_closed = False

    async def access(self, name: str, version: int) -> bytes:
        """A value whose checksum is wrong is fetched once more."""
        path = f"{self._path(name)}/versions/{version}"
        for _ in range(2):
            try:
                payload = (await self._call(path, "access_secret_version", {"name": path})).payload
            except _Refused as refused:
                raise self._unusable(refused, name, version, "secretAccessor") from refused
            if payload.data_crc32c == _checksum(payload.data):
                return bytes(payload.data)
        raise _unavailable(path, "its checksum is wrong")

    async def add(self, name: str, value: bytes) -> int:
        """A lost reply leaves a version that nobody has the number of."""
        check_value(name, value)
        number = await self._added(name, value)
        if number is None:
            await self._make(name)
            number = await self._added(name, value)
        if number is None:
            raise _unavailable(self._path(name), "it is not there yet")
        return number

    async def versions(self, name: str) -> list[SecretVersion]:
        path = self._path(name)
        found: list[SecretVersion] = []
        token: str | None = ""
        try:
            while token is not None:
                request = {"parent": path, "page_size": PAGE_VERSIONS, "page_token": token}
                page = await self._call(path, "list_secret_versions", request)
                found += [_version(version) for version in page.versions]
                token = page.next_page_token or None
        except _Refused as refused:
            if refused.status == "NOT_FOUND":
                return []
            raise self._unusable(refused, name, None, "viewer") from refused
        return sorted(found, key=lambda version: version.number, reverse=True)

    async def set_state(self, name: str, version: int, state: State) -> None:
        path = f"{self._path(name)}/versions/{version}"
        try:
            await self._call(path, _CHANGES[state], {"name": path})
        except _Refused as refused:
            if refused.state != state:
                raise self._unusable(refused, name, version, "secretVersionManager") from refused

    async def close(self) -> None:
        """What is on its way has its time; after this every call raises `Unavailable`."""
        self._is_closed = True
        async with self._connecting:
            if self._channel is not None:
                await self._channel.close(CALL_SECONDS)

    async def _added(self, name: str, value: bytes) -> int | None:
        """The new version's number; None where there is no such secret."""
        path = self._path(name)
        request = {"parent": path, "payload": {"data": value, "data_crc32c": _checksum(value)}}
        try:
            return _version(await self._call(path, "add_secret_version", request)).number
        except _Refused as refused:
            if refused.status == "NOT_FOUND":
                return None
            raise self._unusable(refused, name, None, "secretVersionAdder") from refused

    async def _make(self, name: str) -> None:
        """The secret without versions. Somebody else's, made at the same time, is as good."""
        secret = {"replication": {"automatic": {}}, "labels": self._labels}
        request = {"parent": self._project, "secret_id": self._prefix + name, "secret": secret}
        try:
            await self._call(self._path(name), "create_secret", request)
        except _Refused as refused:
            if refused.status != "ALREADY_EXISTS":
                raise self._unusable(refused, name, None, "admin") from refused

    async def _call(self, path: str, method: str, request: Mapping[str, object]) -> Any:
        """What the client's method answers; it is about `path`. Tries again in an outage.

        Raises `_Refused`, `Misconfigured`, `Unavailable`.
        """
        ask = getattr(await self._connected(), method)
        from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415 - loaded by `_connected`

        end = time.monotonic() + CALL_SECONDS
        for pause in (*PAUSES_SECONDS, CALL_SECONDS):
            seconds = min(TRY_SECONDS, end - time.monotonic())
            try:
                return await ask(request=request, retry=None, timeout=seconds)
            except GoogleAPICallError as failure:
                status = failure.grpc_status_code.name if failure.grpc_status_code else "UNKNOWN"
                if status in _REFUSALS:
                    raise _Refused(status, failure.message) from failure
                if status == "UNAUTHENTICATED":
                    raise _misconfigured("Secret Manager", status) from failure
                if time.monotonic() + pause >= end:
                    raise _unavailable(path, status) from failure
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    def _path(self, name: str) -> str:
        check_name(name)
        check_name(self._prefix + name)
        return f"{self._project}/secrets/{self._prefix}{name}"

    def _unusable(self, refused: _Refused, name: str, version: int | None, role: str) -> SecretUnusable:
        if refused.status == "NOT_FOUND":
            return SecretUnusable(name, version, "missing")
        if refused.status == "PERMISSION_DENIED":
            grant = f"grant this function's service account roles/secretmanager.{role} on {self._path(name)}"
            return SecretUnusable(name, version, f"forbidden: {grant}")
        return SecretUnusable(name, version, refused.state or f"refused: {refused.message}")

    async def _connected(self) -> "SecretManagerServiceAsyncClient":
        async with self._connecting:
            if self._is_closed:
                raise Unavailable("secrets_closed", "The secrets are closed.")
            if self._client is None:
                self._channel, self._client = await _connect(self._emulator_host)
            return self._client


async def _connect(emulator_host: str) -> "tuple[grpc.aio.Channel, SecretManagerServiceAsyncClient]":
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
        channel = grpc.aio.insecure_channel(emulator_host, options=CHANNEL_OPTIONS)
    else:
        credentials = await _credentials()
        channel = transport.create_channel(ENDPOINT, credentials=credentials, options=CHANNEL_OPTIONS)
    return channel, SecretManagerServiceAsyncClient(transport=transport(channel=channel))


async def _credentials() -> "Credentials":
    """The service account's; finding it asks files and the network."""
    import google.auth  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        found, _ = await asyncio.to_thread(google.auth.default, scopes=[SCOPE])
    except GoogleAuthError as failure:
        raise _misconfigured("default credentials", type(failure).__name__) from failure
    return found


def _version(found: "types.SecretVersion") -> SecretVersion:
    created = found.create_time
    return SecretVersion(
        number=int(found.name.rpartition("/")[2]),
        state=_STATES.get(found.state.name, "disabled"),
        created_at=datetime.combine(created.date(), created.timetz()),
    )


def _checksum(value: bytes) -> int:
    import google_crc32c  # noqa: PLC0415

    return int(google_crc32c.value(value))


def _misconfigured(resource: str, refusal: str) -> Misconfigured:
    misconfigured = Misconfigured(resource, refusal)
    _log.error("%s", misconfigured)
    return misconfigured


def _unavailable(resource: str, why: str) -> Unavailable:
    _log.warning("Secret Manager does not serve %s: %s", resource, why)
    return Unavailable("secrets_unavailable", "A secret could not be read. Try again.")
