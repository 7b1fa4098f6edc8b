"""Every case on the port runs on every implementation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.objects import Objects
from shared.objects.cloud_storage import CloudStorage
from shared.objects.files import FileObjects
from tests.contract.objects.bucket_server import BUCKET, BucketServer

Opened = Callable[[], Objects]
"""The same bucket each time, as another instance would have it."""


@contextmanager
def _files(folder: Path) -> Iterator[Opened]:
    yield lambda: FileObjects(folder / "data" / "objects")


@contextmanager
def _google(folder: Path) -> Iterator[Opened]:
    server = BucketServer()
    try:
        yield lambda: CloudStorage(BUCKET, emulator_host=server.url)
    finally:
        server.stop()


@pytest.fixture(params=[_files, _google], ids=["files", "google"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture
async def objects(opened: Opened) -> Objects:
    return opened()


@pytest.fixture
def bucket() -> Iterator[BucketServer]:
    server = BucketServer()
    yield server
    server.stop()
