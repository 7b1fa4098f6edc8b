"""A customer is taken on once, however often its operator asks with one Idempotency-Key."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from functions.tenants import routes
from functions.tenants.domain import contract
from functions.tenants.lifecycle import Lifecycle
from shared import keyring
from shared.http.app import App
from shared.http.idempotency import EachTime, Idempotency
from shared.identity import Verifier
from shared.outbox import Outbox
from shared.store import AlreadyExists, Create, Store, Write
from shared.store.bodies import to_body
from tests.tokens import ISSUER, SignerKey, ring, tenant
from tests.unit.billing.faulty_store import FaultyStore
from tests.unit.tenants.world import ACME, OPERATOR, World

pytestmark = pytest.mark.anyio

BODY = {"slug": "acme", "name": "Acme Inc.", "tier": "standard", "owner_email": "owner@acme.example"}
ONE_CUSTOMER = ["tenant.created", "tenant.created", "tenant.step.requested"]
"""What is published for one: to auth and billing, and to the cluster."""
WRITE = "platform:tenants:write"


class Operators:
    """Operators at one instance of the function."""

    def __init__(self, world: World, key: SignerKey, store: Store | None = None) -> None:
        store = store or world.store
        outbox = Outbox(store, world.bus, world.clock, "tenants")
        self._clock = world.clock
        self._key = key
        self._app = App(
            routes.table(Lifecycle(store, outbox, world.clock), world.shelf, Idempotency(store, world.clock)),
            verifier=Verifier(world.store, ISSUER, ISSUER, world.clock),
            event_door=None,
            serves_http=True,
            version="test",
            access_log=lambda line: None,
        )

    async def post(
        self, idempotency_key: str | None, *, sub: str = "sa_1", path: str = "/v1/tenants", **changes: Any
    ) -> httpx.Response:
        token = self._key.token(now=self._clock(), tid="platform", scope=WRITE, sub=sub)
        headers = {"Authorization": f"Bearer {token}"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
            return await client.post(path, json=BODY | changes, headers=headers)


@pytest.fixture
def key() -> SignerKey:
    return SignerKey()


@pytest.fixture
async def operators(world: World, key: SignerKey) -> Operators:
    await world.plain_store.commit(Create(keyring.key(world.store), to_body(ring(key))))
    await world.put(msgspec.structs.replace(tenant("platform"), slug="platform"))
    return Operators(world, key)


async def customers(world: World) -> list[str]:
    return [made.slug for made in (await world.lifecycle.listed(100, None)).items if made.id != "platform"]


async def test_a_repeated_order_is_one_customer(world: World, operators: Operators) -> None:
    first = await operators.post("order-1")
    await world.report(first.json()["id"], await world.operation(first.json()["id"]), "succeeded")
    before = len(world.bus.messages)
    again = await operators.post("order-1")

    assert first.status_code == again.status_code == 201
    assert again.content == first.content, "as it was then: still provisioning"
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(world.bus.messages) == before
    assert await customers(world) == ["acme"]


async def test_without_a_key_a_repeated_order_finds_its_slug_taken(operators: Operators) -> None:
    assert (await operators.post(None)).status_code == 201
    assert (await operators.post(None)).json()["code"] == "slug_taken"


async def test_another_order_under_the_key_is_refused(world: World, operators: Operators) -> None:
    await operators.post("order-1")
    refused = await operators.post("order-1", slug="other")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert await customers(world) == ["acme"]


async def test_a_slug_that_is_taken_uses_no_key_up(world: World, operators: Operators) -> None:
    await operators.post("order-1")
    refused = await operators.post("order-2")
    assert (refused.status_code, refused.json()["code"]) == (409, "slug_taken")
    assert (await operators.post("order-2", slug="other")).status_code == 201


async def test_each_operator_has_keys_of_his_own(operators: Operators) -> None:
    """T9."""
    await operators.post("order-1")
    other = await operators.post("order-1", sub="sa_2", slug="other")
    assert (other.status_code, other.json()["slug"]) == (201, "other")


async def test_a_replay_needs_no_day_that_is_still_in_range(world: World, operators: Operators) -> None:
    """What depends on the clock is decided once."""
    first_day = (world.clock().date() - contract.LONGEST_AGO).isoformat()
    first = await operators.post("order-1", contract_start=first_day)
    assert first.status_code == 201, first.text
    world.clock.move(12 * 3600)
    assert (await operators.post("order-2", slug="other", contract_start=first_day)).status_code == 422
    assert (await operators.post("order-1", contract_start=first_day)).content == first.content


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2])
async def test_a_crash_leaves_one_customer_or_none(
    world: World, operators: Operators, key: SignerKey, step: int, after: bool
) -> None:
    """T14, G5: tenant, slug, operation, events, audit record and answer are one commit."""
    faulty = FaultyStore(world.store)
    faulty.dies_at, faulty.dies_after = step, after
    assert (await Operators(world, key, faulty).post("order-1")).status_code == 500
    assert await customers(world) == (["acme"] if (step, after) == (2, True) else [])

    made = (await operators.post("order-1")).json()
    assert made["slug"] == "acme", made
    assert await customers(world) == ["acme"]
    assert sorted(world.published()) == ONE_CUSTOMER
    assert [record.action for record in await world.audit(made["id"])] == ["tenant.create"]


async def test_of_64_orders_at_once_over_four_instances_one_is_carried_out(
    world: World, operators: Operators, key: SignerKey
) -> None:
    instances = [operators, *(Operators(world, key) for _ in range(3))]
    answers = await asyncio.gather(*(instances[n % 4].post("order-1") for n in range(64)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer for answer in answers if answer.status_code == 201]
    in_use = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert in_use <= {"idempotency_key_in_use"}, "never slug_taken: the slug is its own"
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
    assert await customers(world) == ["acme"]
    assert sorted(world.published()) == ONE_CUSTOMER


async def test_only_the_slug_in_the_way_is_a_slug_taken(world: World, operators: Operators) -> None:
    """Whatever else the commit met is told by its key."""
    met = world.store.tenant("platform").key("idempotency", "x")
    await world.plain_store.commit(Create(met, {}))

    class InTheWay(EachTime, frozen=True):
        def writes(self, made: object) -> Sequence[Write]:
            return (Create(met, {}),)

    with pytest.raises(AlreadyExists) as refused:
        await world.lifecycle.create(ACME, OPERATOR, InTheWay())
    assert refused.value.key == met
    assert await customers(world) == []


async def test_moves_take_no_key_because_twice_is_the_same_as_once(
    world: World, operators: Operators
) -> None:
    made = await world.tenant_in("active")
    path = f"/v1/tenants/{made.id}/resume"
    for _ in range(2):
        answer = await operators.post("not a, key", path=path)
        assert (answer.status_code, answer.json()["status"]) == (200, "active")
