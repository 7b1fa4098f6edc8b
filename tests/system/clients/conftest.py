"""What tests of clients that nobody here wrote may ask for."""

import pytest

from tests.suite import Suite
from tests.system.clients import required, world
from tests.system.clients.world import World


@pytest.fixture(scope="package", params=required.SUITES)
def suite(suite: Suite) -> Suite:
    """That of all system tests, on fewer backends unless all are required."""
    return suite


@pytest.fixture(scope="package")
def world_of_clients(suite: Suite) -> World:
    """One on each backend for all of them."""
    return world.build(suite)
