"""What system tests may ask for."""

from collections.abc import Iterator

import pytest

from tests.suite import Suite, running


@pytest.fixture(scope="package", params=["suite-embedded", "suite-gcp"])
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """For all system tests together: make tenants of your own, and leave it as you found it."""
    backend = request.param.removeprefix("suite-")
    with running(tmp_path_factory.mktemp(backend), "--retry-base-seconds", "0.1", backend=backend) as suite:
        yield suite
