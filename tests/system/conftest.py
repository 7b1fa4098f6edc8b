"""What system tests may ask for."""

from collections.abc import Iterator

import pytest

from tests.suite import Suite, running


@pytest.fixture(scope="session", params=["embedded", "gcp"])
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """One running suite on each backend for all system tests: make tenants of your own, and leave it as you
    found it.
    """
    folder = tmp_path_factory.mktemp(request.param)
    with running(folder, "--retry-base-seconds", "0.1", backend=request.param) as started:
        yield started
