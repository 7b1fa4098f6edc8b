"""Objects in a bucket of Cloud Storage or its emulator. The client blocks, and so runs in a few threads."""

import asyncio
import base64
import functools
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from shared.errors import Misconfigured, Unavailable
from shared.objects import Object, ObjectChanged, ObjectExists, check_name

if TYPE_CHECKING:
    from google.cloud.storage import Bucket

T = TypeVar("T")

Timeout = tuple[float, float]
"""Seconds to connect, and to wait for each part of the answer."""

CALL_SECONDS = 4.0
"""The time limit of a call with all its attempts."""
TRY_SECONDS = 2.0
CONNECT_SECONDS = 1.0
PAUSES_SECONDS = (0.05, 0.2)
THREADS = 4
ENDPOINT = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"

_FORBIDDEN, _NOT_FOUND, _PRECONDITION_FAILED = 403, 404, 412
_NO_BUCKET = "bucket does not exist"
"""How Google tells a missing bucket from a missing object; both are 404."""

_log = logging.getLogger(__name__)


class _Refused(Exception):
    """A final refusal, 404 or 412. `after_unknown`: an earlier attempt may have taken effect."""

    def __init__(self, status: int, message: str, *, after_unknown: bool) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.lacks_bucket = status == _NOT_FOUND and _NO_BUCKET in message
        self.after_unknown = after_unknown


class _Torn(Exception):
    """The data does not match the object's metadata: it was replaced between the two reads, or is damaged."""


class CloudStorage:
    """`shared.objects.Objects` in one bucket. With `emulator_host` (a URL) nothing is authenticated."""

    def __init__(self, bucket: str, *, emulator_host: str = "") -> None:
        self._name = bucket
        self._resource = f"bucket {bucket}"
        self._emulator_host = emulator_host
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")
        self._connecting = asyncio.Lock()
        self._bucket: Bucket | None = None
        self._is_closed = False

    async def create(self, name: str, data: bytes, content_type: str, *, cache_control: str = "") -> int:
        generation = await self._write(name, data, content_type, 0, cache_control)
        if generation is None:
            raise ObjectExists(name)
        return generation

    async def replace(
        self, name: str, data: bytes, content_type: str, if_generation: int, *, cache_control: str = ""
    ) -> int:
        generation = await self._write(name, data, content_type, if_generation, cache_control)
        if generation is None:
            raise ObjectChanged(name)
        return generation

    async def get(self, name: str) -> Object | None:
        check_name(name)
        try:
            return await self._run(functools.partial(_fetched, name))
        except _Refused as refused:
            if refused.lacks_bucket:
                raise _misconfigured(self._resource, "it does not exist") from refused
            return None

    async def close(self) -> None:
        """Waits for the calls under way. After this every call raises `Unavailable`."""
        self._is_closed = True
        async with self._connecting:
            await asyncio.to_thread(self._threads.shutdown)
            if self._bucket is not None:
                self._bucket.client.close()

    async def _write(
        self, name: str, data: bytes, content_type: str, if_generation: int, cache_control: str
    ) -> int | None:
        """The new generation; None if the current one (0: no object) is not `if_generation`.

        If a reply was lost, the object may be our own write: it is, if it equals what we write.
        """
        check_name(name)
        work = functools.partial(_uploaded, name, data, content_type, if_generation, cache_control)
        try:
            return await self._run(work)
        except _Refused as refused:
            if refused.status == _NOT_FOUND:
                raise _misconfigured(self._resource, "it does not exist") from refused
            found = await self.get(name) if refused.after_unknown else None
        if found is None or (found.data, found.content_type) != (data, content_type):
            return None
        return found.generation

    async def _run(self, work: Callable[["Bucket", Timeout], T]) -> T:
        """Runs `work`, and retries in an outage. Raises `_Refused`, `Misconfigured`, `Unavailable`."""
        bucket = await self._connected()
        from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415 - loaded by `_connected`
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        end = time.monotonic() + CALL_SECONDS
        for tried, pause in enumerate((*PAUSES_SECONDS, CALL_SECONDS)):
            try:
                return await self._in_thread(work, bucket, min(TRY_SECONDS, end - time.monotonic()))
            except GoogleAPICallError as failure:
                if failure.code in (_NOT_FOUND, _PRECONDITION_FAILED):
                    raise _Refused(failure.code, failure.message, after_unknown=tried > 0) from failure
                if failure.code == _FORBIDDEN:
                    raise _misconfigured(self._resource, type(failure).__name__) from failure
                why = type(failure).__name__
            except (OSError, GoogleAuthError, _Torn) as failure:
                why = type(failure).__name__
            if time.monotonic() + pause >= end:
                break
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        _log.warning("%s does not serve: %s", self._resource, why)
        raise Unavailable("objects_unavailable", "An object could not be read or written. Try again.")

    async def _in_thread(self, work: Callable[["Bucket", Timeout], T], bucket: "Bucket", seconds: float) -> T:
        """Runs `work` in a thread. Raises TimeoutError."""
        timeout = (min(CONNECT_SECONDS, seconds), seconds)
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, bucket, timeout)

    async def _connected(self) -> "Bucket":
        async with self._connecting:
            if self._is_closed:
                raise Unavailable("objects_closed", "The objects are closed.")
            if self._bucket is None:
                connect = functools.partial(_connect, self._name, self._emulator_host)
                self._bucket = await asyncio.to_thread(connect)
            return self._bucket


def _fetched(name: str, bucket: "Bucket", timeout: Timeout) -> Object:
    """Reads the metadata with generation and checksum, and then the data of that generation. The library
    verifies a checksum only if the response has one.
    """
    import google_crc32c  # noqa: PLC0415
    from google.api_core.exceptions import NotFound  # noqa: PLC0415

    blob = bucket.blob(name)
    blob.reload(timeout=timeout, retry=None)
    generation, content_type, checksum = int(blob.generation), str(blob.content_type), blob.crc32c
    try:
        data = bytes(blob.download_as_bytes(timeout=timeout, retry=None, checksum=None))
    except NotFound as replaced:
        raise _Torn from replaced
    if base64.b64encode(int(google_crc32c.value(data)).to_bytes(4)).decode() != checksum:
        raise _Torn
    return Object(data, content_type, generation)


def _uploaded(
    name: str,
    data: bytes,
    content_type: str,
    if_generation: int,
    cache_control: str,
    bucket: "Bucket",
    timeout: Timeout,
) -> int:
    blob = bucket.blob(name)
    if cache_control:
        blob.cache_control = cache_control
    blob.upload_from_string(
        data,
        content_type=content_type,
        if_generation_match=if_generation,
        timeout=timeout,
        checksum="crc32c",
        retry=None,
    )
    return int(blob.generation)


def _connect(bucket: str, emulator_host: str) -> "Bucket":
    """Opens the bucket; blocks. Ignores the client's environment variables. Raises `Misconfigured`."""
    import google.auth  # noqa: PLC0415
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.cloud.storage import Client  # noqa: PLC0415

    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call] # the library has types in part
    try:
        credentials = anonymous if emulator_host else google.auth.default(scopes=[SCOPE])[0]
    except GoogleAuthError as failure:
        raise _misconfigured("default credentials", type(failure).__name__) from failure
    options = {"api_endpoint": emulator_host or ENDPOINT}
    client = Client(project=None, credentials=credentials, client_options=options)
    # It would ask for the bucket's region beside each call, in a thread of its own and for up to minutes.
    client._bucket_metadata_cache = None
    return client.bucket(bucket)


def _misconfigured(resource: str, refusal: str) -> Misconfigured:
    misconfigured = Misconfigured(resource, refusal)
    _log.error("%s", misconfigured)
    return misconfigured
