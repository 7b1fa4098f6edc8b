"""What system tests may ask for."""

from collections.abc import Iterator

import pytest

from tests.suite import Suite, running


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """One running suite for all system tests: make tenants of your own, and leave it as you found it."""
    with running(tmp_path_factory.mktemp("suite"), "--retry-base-seconds", "0.1") as started:
        yield started
