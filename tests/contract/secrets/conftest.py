"""Every case on the port runs on every implementation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.google.secret_manager.server import SecretManagerServer
from shared.secrets import Secrets
from shared.secrets.cached import CachedSecrets
from shared.secrets.files import FileSecrets
from shared.secrets.secret_manager import SecretManager
from tests.tokens import Time

Opened = Callable[[], Secrets]
"""Secrets of its own on the same store each time, as another instance would have."""


@contextmanager
def _files(folder: Path) -> Iterator[Opened]:
    yield lambda: FileSecrets(folder / "secrets", Time())


@contextmanager
def _google(folder: Path) -> Iterator[Opened]:
    server = SecretManagerServer(clock=Time())
    try:
        yield lambda: SecretManager("p", prefix="energent-test-", emulator_host=server.host)
    finally:
        server.stop()


@pytest.fixture(params=[_files, _google], ids=["files", "google"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture(params=[False, True], ids=["straight", "cached"])
def opened(request: pytest.FixtureRequest, stored: Opened) -> Opened:
    return (lambda: CachedSecrets(stored(), Time())) if request.param else stored
