"""Billing on a store of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.store.sqlite import SqliteStore
from tests.stripe_stand_in import secrets
from tests.unit.billing.collecting import Endpoint, closed, collect
from tests.unit.billing.scripted_stripe import ScriptedStripe
from tests.unit.billing.world import QUERIES, World


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    found = SqliteStore(tmp_path / "store.db", QUERIES)
    yield found
    await found.close()


@pytest.fixture
async def world(store: SqliteStore) -> World:
    """Acme, standard tier, active since 1 January 2026; it is noon on 15 March 2026."""
    world = World(store)
    await world.add_tenant()
    return world


@pytest.fixture
async def march(world: World) -> World:
    """January and February are closed, without usage; it is 15 March."""
    await world.close("2026-02")
    assert len(await world.invoices()) == 1
    return world


@pytest.fixture
async def endpoint(world: World) -> Endpoint:
    """Acme's invoice is open at Stripe: there is no card to charge."""
    stripe = ScriptedStripe()
    stripe.card = None
    acme = World(world.store, now=world.now, stripe=stripe, secrets=secrets())
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    return Endpoint(acme, stripe, invoice_id)
