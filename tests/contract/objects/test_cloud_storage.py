"""What the adapter of Cloud Storage must do beside the port: preconditions, checksums, meanings of errors."""

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from local.ports import HOST, Reservation
from shared.errors import Misconfigured, Unavailable
from shared.objects import Object, ObjectChanged, ObjectExists
from shared.objects.cloud_storage import CALL_SECONDS, TRY_SECONDS, CloudStorage
from tests.contract.objects.bucket_server import BUCKET, DESCRIBE, DOWNLOAD, UPLOAD, BucketServer

pytestmark = pytest.mark.anyio

JSON = "application/json"

Call = Callable[[CloudStorage], Awaitable[object]]
CALLS: dict[str, Call] = {
    UPLOAD: lambda objects: objects.create("new", b"new", JSON),
    DESCRIBE: lambda objects: objects.get("a"),
    DOWNLOAD: lambda objects: objects.get("a"),
}
OUTAGES = [401, 408, 429, 500, 502, 503, 504]


@pytest.fixture
async def objects(bucket: BucketServer) -> AsyncIterator[CloudStorage]:
    """With the object `a`; what was called for that is forgotten."""
    objects = CloudStorage(BUCKET, emulator_host=bucket.url)
    await objects.create("a", b"old", JSON)
    bucket.calls.clear()
    yield objects
    await objects.close()


async def test_nothing_is_asked_but_what_is_needed(bucket: BucketServer, objects: CloudStorage) -> None:
    """The client library would look the bucket up by itself, with time-outs of its own."""
    await objects.create("b", b"new", JSON)
    await objects.get("b")
    await objects.get("none")
    await asyncio.sleep(0.1)
    assert bucket.calls == [UPLOAD, DESCRIBE, DOWNLOAD, DESCRIBE]


async def test_who_reads_over_http_is_told_how_long_to_keep_it(
    bucket: BucketServer, objects: CloudStorage
) -> None:
    generation = await objects.create("jwks.json", b"{}", JSON, cache_control="public, max-age=300")
    assert bucket.objects["jwks.json"].described["cacheControl"] == "public, max-age=300"
    assert bucket.objects["jwks.json"].described["contentType"] == JSON
    await objects.replace("jwks.json", b"{}", JSON, generation)
    assert "cacheControl" not in bucket.objects["jwks.json"].described


@pytest.mark.parametrize("kind", CALLS)
async def test_a_short_outage_is_not_felt_and_a_longer_one_ends(
    bucket: BucketServer, objects: CloudStorage, kind: str
) -> None:
    """D6."""
    bucket.refused[kind] = [503, 503]
    await CALLS[kind](objects)
    assert bucket.calls.count(kind) == 3
    bucket.refused[kind] = [503, 503, 503]
    with pytest.raises(Unavailable, match="objects_unavailable") as refused:
        await (CALLS[kind](objects) if kind != UPLOAD else objects.create("newer", b"new", JSON))
    assert type(refused.value) is Unavailable
    assert bucket.calls.count(kind) == 6
    assert "newer" not in bucket.objects


@pytest.mark.parametrize("status", OUTAGES)
async def test_every_error_that_may_pass_is_an_outage(
    bucket: BucketServer, objects: CloudStorage, status: int
) -> None:
    bucket.refused[DESCRIBE] = [status] * 3
    with pytest.raises(Unavailable) as refused:
        await objects.get("a")
    assert type(refused.value) is Unavailable


@pytest.mark.parametrize("kind", CALLS)
async def test_a_bucket_that_is_forbidden_is_misconfigured_and_named(
    bucket: BucketServer, objects: CloudStorage, kind: str
) -> None:
    bucket.refused[kind] = [403]
    with pytest.raises(Misconfigured, match=f"bucket {BUCKET}"):
        await CALLS[kind](objects)
    assert bucket.calls.count(kind) == 1


async def test_a_bucket_that_does_not_exist_is_misconfigured_and_named(
    bucket: BucketServer, caplog: pytest.LogCaptureFixture
) -> None:
    objects = CloudStorage("energent-nowhere", emulator_host=bucket.url)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: objects.get("a"),
        lambda: objects.create("a", b"1", JSON),
        lambda: objects.replace("a", b"1", JSON, 1),
    ]
    for call in calls:
        with pytest.raises(Misconfigured, match="bucket energent-nowhere: it does not exist") as refused:
            await call()
        assert "nowhere" not in refused.value.detail
    assert caplog.text.count("bucket energent-nowhere: it does not exist") == 3
    await objects.close()


async def test_a_lost_reply_to_a_write_is_no_conflict(bucket: BucketServer, objects: CloudStorage) -> None:
    """B23: what exists may be of our own making."""
    bucket.lost[UPLOAD] = [503]
    created = await objects.create("b", b"ours", JSON)
    bucket.lost[UPLOAD] = [503]
    replaced = await objects.replace("b", b"ours too", JSON, created)
    assert await objects.get("b") == Object(b"ours too", JSON, replaced)
    assert bucket.calls.count(UPLOAD) == 4


async def test_after_an_outage_what_others_wrote_is_still_a_conflict(
    bucket: BucketServer, objects: CloudStorage
) -> None:
    """B23."""
    bucket.refused[UPLOAD] = [503]
    with pytest.raises(ObjectExists):
        await objects.create("a", b"new", JSON)
    bucket.refused[UPLOAD] = [503]
    with pytest.raises(ObjectChanged):
        await objects.replace("a", b"new", JSON, 1)
    with pytest.raises(ObjectExists):
        await objects.create("a", b"old", JSON)
    assert bucket.objects["a"].data == b"old"


async def test_data_that_is_damaged_on_the_way_is_sent_and_fetched_again(
    bucket: BucketServer, objects: CloudStorage
) -> None:
    for kind in (UPLOAD, DOWNLOAD):
        bucket.damaged[kind] = 1
    await objects.create("b", b"whole", JSON)
    assert bucket.objects["b"].data == b"whole"
    found = await objects.get("b")
    assert found is not None
    assert found.data == b"whole"
    assert (bucket.calls.count(UPLOAD), bucket.calls.count(DOWNLOAD)) == (2, 2)
    bucket.damaged[DOWNLOAD] = 3
    with pytest.raises(Unavailable):
        await objects.get("b")


async def test_an_object_that_is_replaced_while_it_is_read_is_read_as_a_whole(
    bucket: BucketServer, objects: CloudStorage
) -> None:
    bucket.replaced_before_download.append(("a", b"newer"))
    found = await objects.get("a")
    assert found == Object(b"newer", JSON, bucket.objects["a"].generation)


async def test_an_answer_that_does_not_come_or_only_in_small_pieces_is_given_up(
    bucket: BucketServer, objects: CloudStorage
) -> None:
    """D6. Each piece is in time; together they are not."""

    async def seconds_to_give_up(objects: CloudStorage) -> float:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await objects.get("a")
        return time.monotonic() - started

    bucket.drip_seconds = 0.5
    with socket.create_server((HOST, 0)) as silent:
        silenced = CloudStorage(BUCKET, emulator_host=f"http://{HOST}:{silent.getsockname()[1]}")
        for seconds in await asyncio.gather(seconds_to_give_up(objects), seconds_to_give_up(silenced)):
            assert TRY_SECONDS < seconds < CALL_SECONDS + 1
    assert bucket.calls.count(DESCRIBE) > 1
    bucket.drip_seconds = 0.0
    await silenced.close()


async def test_a_bucket_that_cannot_be_reached_is_an_outage_and_used_as_soon_as_it_can() -> None:
    """D6."""
    port = Reservation.take()
    objects = CloudStorage(BUCKET, emulator_host=f"http://{HOST}:{port.port}")
    with pytest.raises(Unavailable):
        await objects.get("a")
    port.release()
    bucket = BucketServer(port.port)
    assert await objects.get("a") is None
    await objects.close()
    bucket.stop()


async def test_after_closing_nothing_is_asked(bucket: BucketServer, objects: CloudStorage) -> None:
    await objects.close()
    with pytest.raises(Unavailable, match="objects_closed"):
        await objects.get("a")
    assert bucket.calls == []


async def test_googles_own_settings_in_the_environment_are_not_looked_at(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "another")
    objects = CloudStorage(BUCKET, emulator_host=bucket.url)
    assert await objects.get("a") is None
    await objects.close()


async def test_the_emulator_keeps_what_is_written(caplog: pytest.LogCaptureFixture) -> None:
    """It ignores preconditions, so that nothing here relies on them."""
    caplog.set_level(logging.WARNING)
    port = Reservation.take()
    command = (sys.executable, "-m", "gcp_storage_emulator", "start", f"--host={HOST}", f"--port={port.port}")
    with subprocess.Popen(  # noqa: S603, ASYNC220 - our own tool, started before anybody waits
        (*command, "--in-memory", f"--default-bucket={BUCKET}")
    ) as emulator:
        try:
            objects = CloudStorage(BUCKET, emulator_host=f"http://{HOST}:{port.port}")
            created = await _as_soon_as_it_is_up(lambda: objects.create("a/b.json", b"{}", JSON))
            assert await objects.get("a/b.json") == Object(b"{}", JSON, created)
            replaced = await objects.replace("a/b.json", b"\x00\r\n", "application/pdf", created)
            assert replaced > created
            assert await objects.get("a/b.json") == Object(b"\x00\r\n", "application/pdf", replaced)
            assert await objects.get("none") is None
            await objects.close()
        finally:
            emulator.terminate()
            port.release()


async def _as_soon_as_it_is_up(call: Callable[[], Awaitable[int]]) -> int:
    end = time.monotonic() + 20
    while True:
        try:
            return await call()
        except Unavailable:
            assert time.monotonic() < end
