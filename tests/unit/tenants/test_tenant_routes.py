"""Tenants through their HTTP door, with real tokens."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from shared import keyring
from shared.http.app import App
from shared.identity import Verifier
from shared.store import Create
from shared.store.bodies import to_body
from tests.tokens import ISSUER, SignerKey, ring, tenant
from tests.unit.tenants.world import ACME, OPERATOR, World

pytestmark = pytest.mark.anyio

BODY = {"slug": "acme", "name": "Acme Inc.", "tier": "standard", "owner_email": "owner@acme.example"}
ALL = "platform:tenants:read platform:tenants:write"


class Door:
    def __init__(self, world: World, key: SignerKey) -> None:
        self._key = key
        self._app = App(
            world.routes,
            verifier=Verifier(world.store, ISSUER, ISSUER, world.clock),
            event_door=None,
            serves_http=True,
            version="test",
            access_log=lambda line: None,
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url=ISSUER)

    async def ask(
        self, method: str, path: str, *, tid: str = "platform", scope: str = ALL, **more: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key.token(tid=tid, scope=scope)}"}
        return await self.client.request(method, path, headers=headers | more.pop("headers", {}), **more)


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    key = SignerKey()
    await world.plain_store.commit(Create(keyring.key(world.store), to_body(ring(key))))
    await world.put(msgspec.structs.replace(tenant("platform"), slug="platform"))
    door = Door(world, key)
    yield door
    await door.client.aclose()


async def test_an_operator_takes_a_customer_on(world: World, door: Door) -> None:
    answer = await door.ask("POST", "/v1/tenants", json=BODY)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/v1/tenants/{made['id']}"
    assert made == {
        "id": made["id"],
        "slug": "acme",
        "name": "Acme Inc.",
        "owner_email": "owner@acme.example",
        "tier": "standard",
        "isolation": "shared",
        "status": "provisioning",
        "status_reason": "",
        "contract_start": "2026-03-04",
        "limits": {"cpu": 2, "memory_gb": 4, "storage_gb": 25, "concurrent_workflows": 2},
        "created_at": "2026-03-04T12:00:00Z",
        "updated_at": "2026-03-04T12:00:00Z",
    }
    assert (await door.ask("GET", answer.headers["location"])).json() == made
    (record,) = await world.audit(made["id"])
    assert (record.actor.tenant_id, record.actor.request_id) == ("platform", answer.headers["x-request-id"])


async def test_a_tenant_is_suspended_and_resumed(world: World, door: Door) -> None:
    made = await world.tenant_in("active")
    suspended = await door.ask("POST", f"/v1/tenants/{made.id}/suspend", json={"reason": "non_payment"})
    assert (suspended.status_code, suspended.json()["status"]) == (200, "suspended")
    assert suspended.json()["status_reason"] == "non_payment"
    resumed = await door.ask("POST", f"/v1/tenants/{made.id}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "active")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"slug": "Acme"}, "/slug"),
        ({"slug": None}, "/slug"),
        ({"name": ""}, "/name"),
        ({"name": "a" * 201}, "/name"),
        ({"tier": "gold"}, "/tier"),
        ({"isolation": "none"}, "/isolation"),
        ({"owner_email": "x"}, "/owner_email"),
        ({"contract_start": "tomorrow"}, "/contract_start"),
        ({"contract_start": None}, "/contract_start"),
        ({"contract_start": "1999-01-01"}, "/contract_start"),
        ({"contract_start": "9999-12-31"}, "/contract_start"),
        ({"status": "active"}, "/status"),
        ({"id": "platform"}, "/id"),
    ],
)
async def test_a_wrong_field_of_a_new_customer_is_named(
    world: World, door: Door, changes: dict[str, Any], path: str
) -> None:
    answer = await door.ask("POST", "/v1/tenants", json=BODY | changes)

    assert answer.status_code == 422, answer.text
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert world.bus.messages == []


@pytest.mark.parametrize("body", [{}, {"reason": "because"}, {"reason": "abuse", "at": 1}, {"reason": None}])
async def test_a_suspension_has_one_of_the_known_reasons(
    world: World, door: Door, body: dict[str, Any]
) -> None:
    made = await world.tenant_in("active")
    answer = await door.ask("POST", f"/v1/tenants/{made.id}/suspend", json=body)
    assert answer.status_code == 422
    assert (await world.tenant(made.id)).status == "active"


async def test_what_conflicts_is_told_by_its_code(world: World, door: Door) -> None:
    """T13."""
    made = await world.lifecycle.create(ACME, OPERATOR)
    taken = await door.ask("POST", "/v1/tenants", json=BODY)
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")
    illegal = await door.ask("POST", f"/v1/tenants/{made.id}/resume")
    assert (illegal.status_code, illegal.json()["code"]) == (409, "illegal_transition")
    assert "provisioning" in illegal.json()["detail"]
    platform = await door.ask("POST", "/v1/tenants/platform/suspend", json={"reason": "abuse"})
    assert (platform.status_code, platform.json()["code"]) == (409, "platform_tenant")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/tenants", "platform:tenants:read"),
        ("GET", "/v1/tenants", "platform:tenants:write"),
        ("POST", "/v1/tenants/tnt_1/suspend", "platform:tenants:read tenant:read"),
        ("POST", "/v1/tenants/tnt_1/resume", "platform:tenants:read tenant:read"),
    ],
)
async def test_another_scope_is_not_enough(door: Door, method: str, path: str, scope: str) -> None:
    answer = await door.ask(method, path, scope=scope, json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_nobody_gets_anywhere_without_a_token(door: Door) -> None:
    for method, path in [
        ("GET", "/v1/tenants"),
        ("POST", "/v1/tenants"),
        ("GET", "/v1/tenants/platform"),
        ("POST", "/v1/tenants/platform/suspend"),
        ("POST", "/v1/tenants/platform/resume"),
    ]:
        assert (await door.client.request(method, path)).status_code == 401


async def test_a_person_sees_the_own_tenant_only(world: World, door: Door) -> None:
    own = await world.tenant_in("active")
    answer = await door.ask("GET", f"/v1/tenants/{own.id}", tid=own.id, scope="tenant:read")
    assert (answer.status_code, answer.json()["id"]) == (200, own.id)
    assert (await door.ask("GET", f"/v1/tenants/{own.id}", tid=own.id, scope="usage:read")).status_code == 404


async def test_foreign_and_unknown_are_the_same_bytes(world: World, door: Door) -> None:
    """T4, T5, T7."""
    own = await world.tenant_in("active")
    foreign = await world.lifecycle.create(msgspec.structs.replace(ACME, slug="foreign"), OPERATOR)
    seen = []
    for tenant_id in (foreign.id, "platform", "tnt_unknown", "__x__", "x" * 1501, "tnt%20x"):
        answer = await door.ask(
            "GET",
            f"/v1/tenants/{tenant_id}",
            tid=own.id,
            scope="tenant:read",
            headers={"X-Request-Id": "req_the_same"},
        )
        seen.append((answer.status_code, answer.content, sorted(answer.headers.items())))
    assert seen[0][0] == 404
    assert seen == [seen[0]] * 6


@pytest.mark.parametrize("tenant_id", ["..", "%2e%2e", "%E9", "a%2fb", "a%00b", "%2f", ""])
async def test_what_is_no_segment_of_a_path_is_not_found(door: Door, tenant_id: str) -> None:
    """T5."""
    assert (await door.ask("GET", f"/v1/tenants/{tenant_id}")).status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=1", "cursor="])
async def test_a_wrong_query_is_named(door: Door, query: str) -> None:
    answer = await door.ask("GET", f"/v1/tenants?{query}")
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["?" + query.partition("=")[0]]


async def test_a_list_joins_at_its_cursor(world: World, door: Door) -> None:
    world.clock.move(1)
    made = await world.lifecycle.create(ACME, OPERATOR)
    first = (await door.ask("GET", "/v1/tenants?limit=1")).json()
    rest = (await door.ask("GET", f"/v1/tenants?limit=1&cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ["platform", made.id]
    assert rest["next_cursor"] is None


async def test_a_cursor_that_is_none_is_the_clients_mistake(door: Door) -> None:
    deep = base64.urlsafe_b64encode(b'["a",["b","c"],' + b"[" * 1500).decode().rstrip("=")
    for cursor in ("broken", deep):
        answer = await door.ask("GET", f"/v1/tenants?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
