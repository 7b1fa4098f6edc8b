"""What tests of clients that nobody here wrote may ask for."""

from collections.abc import Callable

import pytest

from tests.suite import Suite
from tests.system.clients import required, world
from tests.system.clients.world import World


@pytest.fixture(scope="session", params=required.BACKENDS)
def world_of_clients(request: pytest.FixtureRequest, suite_on: Callable[[str], Suite]) -> World:
    """One on each backend for all of them."""
    return world.build(suite_on(request.param))
