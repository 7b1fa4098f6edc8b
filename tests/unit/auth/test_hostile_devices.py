"""The device endpoint in the hands of anybody: a public client's id is no secret."""

import pytest

from functions.auth.guessing.throttle import PER_ADDRESS
from tests.unit.auth.applications import basic
from tests.unit.auth.browser import SECRET, add_client
from tests.unit.auth.http_door import Door
from tests.unit.auth.suite import ACME, Suite

pytestmark = pytest.mark.anyio

PATH = "/oauth2/device_authorization"
THERE = {"X-Forwarded-For": "198.51.100.7"}


async def test_who_only_knows_a_public_client_buys_so_many_documents(suite: Suite) -> None:
    """One address, and no other, waits; a client that proves itself is not counted."""
    public = await add_client(suite, "cli_tv", kind="public")
    confidential = await add_client(suite, "cli_box")
    door = Door(suite)
    before = len(suite.store.commits)
    for _ in range(PER_ADDRESS.burst):
        assert (await door.client.post(PATH, data={"client_id": public})).status_code == 200
    refused = await door.client.post(PATH, data={"client_id": public})
    assert (refused.status_code, refused.json()["error"]) == (429, "slow_down")
    assert len(suite.store.commits) - before == PER_ADDRESS.burst

    elsewhere = await door.client.post(PATH, data={"client_id": public}, headers=THERE)
    proven = await door.client.post(
        PATH, headers={"Authorization": basic(confidential, SECRET)}, data={"x": "y"}
    )
    assert (elsewhere.status_code, proven.status_code) == (200, 200)
    suite.clock.move(int(refused.headers["retry-after"]))
    assert (await door.client.post(PATH, data={"client_id": public})).status_code == 200


async def test_a_request_that_asks_for_too_much_costs_nothing(suite: Suite) -> None:
    public = await add_client(suite, "cli_tv", kind="public")
    door = Door(suite)
    for _ in range(PER_ADDRESS.burst + 1):
        asked = await door.client.post(PATH, data={"client_id": public, "scope": "users:write"})
        assert asked.json()["error"] == "invalid_scope"
    assert (await door.client.post(PATH, data={"client_id": f"{ACME}.cli_tv"})).status_code == 200
