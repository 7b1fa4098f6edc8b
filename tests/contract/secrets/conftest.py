"""Every case on the port runs on every implementation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.secrets import Secrets
from shared.secrets.cached import CachedSecrets
from shared.secrets.files import FileSecrets
from tests.tokens import Time

Opened = Callable[[], Secrets]
"""Secrets of its own on the same store each time, as another instance would have."""


def _files(folder: Path) -> Secrets:
    return FileSecrets(folder / "secrets", Time())


def _cached_files(folder: Path) -> Secrets:
    return CachedSecrets(_files(folder), Time())


@pytest.fixture(params=[_files, _cached_files], ids=["files", "cached files"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    return lambda: request.param(tmp_path)
