"""What system tests may ask for."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.suite import Suite, running


@pytest.fixture(scope="session")
def suite_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Suite]]:
    """One running suite on each backend, started when it is asked for and kept until the end."""
    started: dict[str, Suite] = {}
    with contextlib.ExitStack() as stack:

        def on(backend: str) -> Suite:
            if backend not in started:
                suite = running(
                    tmp_path_factory.mktemp(backend), "--retry-base-seconds", "0.1", backend=backend
                )
                started[backend] = stack.enter_context(suite)
            return started[backend]

        yield on


@pytest.fixture(scope="session", params=["embedded", "gcp"])
def suite(request: pytest.FixtureRequest, suite_on: Callable[[str], Suite]) -> Suite:
    """For all system tests together: make tenants of your own, and leave it as you found it."""
    return suite_on(request.param)
