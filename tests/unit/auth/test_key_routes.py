"""The key rings through the HTTP door, for operators alone."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from functions.auth.keyring.key_rings import PACES, SECRETS
from shared.http.idempotency import HEADER, REPLAYED
from tests.unit.auth.http_door import Door
from tests.unit.auth.suite import Suite
from tests.unit.auth.test_key_rotation import rotate, states, sweep

pytestmark = pytest.mark.anyio

READ, WRITE = "platform:keys:read", "platform:keys:write"
ROTATIONS = "/v1/keys/signing/rotations"
TIMES = {"created_at", "activates_at", "retired_at", "removes_at"}


class Operator:
    """The first operator, asking for what it needs only."""

    def __init__(self, suite: Suite, door: Door, credentials: tuple[str, str]) -> None:
        self._suite = suite
        self._door = door
        self._client, self._secret = credentials

    async def ask(
        self, method: str, path: str, *, scope: str = WRITE, key: str | None = None, body: Any = None
    ) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_id": self._client, "client_secret": self._secret}
        issued = await self._suite.endpoint.answer({**form, "scope": scope}, None, "req_1")
        headers = {"Authorization": f"Bearer {issued.access_token}"} | ({HEADER: key} if key else {})
        return await self._door.client.request(method, path, headers=headers, json=body)

    async def rings(self) -> dict[str, Any]:
        answer = await self.ask("GET", "/v1/keys", scope=READ)
        assert answer.status_code == 200, answer.text
        return {ring["name"]: ring for ring in answer.json()["rings"]}


@pytest.fixture
async def operator(suite: Suite) -> AsyncIterator[Operator]:
    door = Door(suite)
    yield Operator(suite, door, await suite.operators.bootstrap())
    await door.client.aclose()


async def test_an_operator_sees_the_rings_with_states_and_times_and_no_secret(
    suite: Suite, operator: Operator
) -> None:
    await rotate(suite)
    rings = await operator.rings()
    assert set(rings) == set(SECRETS)
    old, new = rings["signing"]["keys"]
    assert set(new) == TIMES | {"kid", "state", "algorithm", "secret_version"}
    assert (old["state"], old["removes_at"], new["state"]) == ("retiring", "2026-03-04T12:42:00Z", "active")
    assert (new["algorithm"], new["activates_at"]) == ("ES256", "2026-03-04T12:16:00Z")
    assert rings["signing"]["rotates_at"] == "2026-06-02T12:16:00Z"
    (link,) = rings["link"]["keys"]
    assert (link["kid"], link["algorithm"]) == ("link-1", None)


async def test_an_operator_begins_a_rotation_once_however_often_it_is_asked(
    suite: Suite, operator: Operator
) -> None:
    begun = await operator.ask("POST", ROTATIONS, key="k-1", body={})
    assert begun.status_code == 201
    assert (begun.json()["state"], begun.json()["activates_at"]) == ("pending", None)
    again = await operator.ask("POST", ROTATIONS, key="k-1", body={})
    assert (again.status_code, again.json(), again.headers[REPLAYED]) == (201, begun.json(), "true")
    another = await operator.ask("POST", ROTATIONS, key="k-2", body={})
    assert (another.status_code, another.json()["code"]) == (409, "rotation_under_way")
    assert begun.json()["kid"] in another.json()["detail"]
    await sweep(suite, PACES["signing"].pending)
    await sweep(suite, PACES["signing"].pending)
    late = await operator.ask("POST", ROTATIONS, key="k-1", body={})
    assert late.json() == begun.json()
    assert await states(suite) == ["retiring", "active"]


async def test_the_algorithm_is_a_choice_of_signing_keys_only(operator: Operator) -> None:
    begun = await operator.ask("POST", ROTATIONS, body={"algorithm": "RS256"})
    assert (begun.status_code, begun.json()["algorithm"]) == (201, "RS256")
    for path, body in (
        ("/v1/keys/refresh/rotations", {"algorithm": "ES256"}),
        (ROTATIONS, {"algorithm": "HS256"}),
        (ROTATIONS, {"algorithm": "none"}),
        (ROTATIONS, {"alg": "RS256"}),
    ):
        assert (await operator.ask("POST", path, body=body)).status_code == 422
    assert (await operator.ask("POST", "/v1/keys/refresh/rotations", body={})).status_code == 201


async def test_an_operator_removes_a_key_and_again_is_the_same(suite: Suite, operator: Operator) -> None:
    """S8."""
    (key,) = (await operator.rings())["signing"]["keys"]
    path = f"/v1/keys/signing/keys/{key['kid']}"
    for _ in range(2):
        removed = await operator.ask("DELETE", path)
        assert removed.status_code == 200
        (left,) = removed.json()["keys"]
        assert left["state"] == "active"
        assert left["kid"] != key["kid"]
        suite.clock.move(61)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/keys/access/rotations"),
        ("POST", "/v1/keys/..%2Ftenants/rotations"),
        ("DELETE", "/v1/keys/access/keys/link-1"),
        ("DELETE", "/v1/keys/signing/keys/link-1"),
        ("DELETE", "/v1/keys/link/keys/link-2"),
        ("DELETE", "/v1/keys/link/keys/%00"),
    ],
)
async def test_what_is_not_there_is_not_found(operator: Operator, method: str, path: str) -> None:
    answer = await operator.ask(method, path, body={} if method == "POST" else None)
    assert answer.status_code == 404


async def test_who_may_only_read_changes_nothing_and_nobody_else_reads(
    suite: Suite, operator: Operator
) -> None:
    for method, path in (("POST", ROTATIONS), ("DELETE", "/v1/keys/link/keys/link-1")):
        refused = await operator.ask(method, path, scope=READ, body={} if method == "POST" else None)
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    assert (await operator.ask("GET", "/v1/keys")).status_code == 403
    assert await states(suite) == ["active"]
