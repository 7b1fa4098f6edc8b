"""A suite of its own for each test, and who reaches it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from functions.auth.domain.people import User
from tests.unit.auth.http_door import Door
from tests.unit.auth.people import People, Person
from tests.unit.auth.suite import Suite, running


@pytest.fixture
async def suite(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Suite]:
    async with running(tmp_path) as suite:
        yield suite


@pytest.fixture
async def door(suite: Suite) -> AsyncIterator[Door]:
    door = Door(suite)
    yield door
    await door.client.aclose()


@pytest.fixture
async def owner(suite: Suite) -> User:
    """Of the tenant, by invitation."""
    return await suite.add_user()


@pytest.fixture
async def people(suite: Suite) -> AsyncIterator[People]:
    people = People(suite)
    yield people
    await people.client.aclose()


@pytest.fixture
async def ada(people: People) -> Person:
    """An owner of the tenant who has signed in."""
    return await people.added("ada@acme.test", "owner")
