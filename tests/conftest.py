"""What every test may ask for."""

from collections.abc import Iterator

import pytest

from tests import emulators


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of an emulator that all tests share: use a project or a database of your own."""
    with emulators.firestore(tmp_path_factory.mktemp("firestore")) as running:
        yield running.host


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of an emulator that all tests share: use a project of your own."""
    with emulators.pubsub(tmp_path_factory.mktemp("pubsub")) as running:
        yield running.host
