"""What every test may ask for, and which tests stay together when several workers share them."""

import gc
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import emulators

TOGETHER = re.compile(r"suite-(embedded|gcp)|(firestore|pubsub)-emulator|^tests/deploy/")
"""In a test's id, which names its parameters: what takes seconds to start is then started once."""

MEMORY = Path("/dev/shm")  # noqa: S108 - only pytest's own folders are made there
ENOUGH_BYTES = 2 * 2**30


def pytest_configure() -> None:
    """Temporary folders are in memory where there is room: each test waits for several writes to a disk.
    How long an example may take is no business of a test's on a machine that others use too.
    """
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    is_fit = MEMORY.is_dir() and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    if is_fit and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """A file is for one worker, and so are all tests that share something slow."""

    def _split_scope(self, nodeid: str) -> str:
        return _shared(nodeid) or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: tests on running suites, then those that share something else."""

    def turn(item: pytest.Item) -> tuple[bool, bool, str]:
        shared = _shared(item.nodeid)
        return not shared, not shared.startswith("suite"), shared

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """What all modules and tests have made by now stays: the garbage collector need not walk it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _shared(nodeid: str) -> str:
    found = TOGETHER.search(nodeid)
    return found.group() if found else ""


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
