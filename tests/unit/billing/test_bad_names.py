"""Names in events that cannot be a document's: refused once, into the quarantine, and not five times."""

from typing import Any

import pytest

from tests.unit.billing.collecting import at_stripe
from tests.unit.billing.scripted_stripe import ScriptedStripe
from tests.unit.billing.world import NOON, World

pytestmark = pytest.mark.anyio

BAD_NAMES = ["", "x" * 1_501, "ä" * 800, "a/b", "..", "a\0b", "in 1\n"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_an_invoice_of_no_possible_name_is_rejected(world: World, name: str) -> None:
    """P18"""
    acme = at_stripe(world.store, ScriptedStripe(), now=world.now)
    finalized = {"period": "2026-03", "currency": "USD", "total_minor": 1, "finalized_at": NOON}
    await acme.deliver("invoice.finalized", {"invoice_id": name, **finalized})
    assert await acme.reasons() == ["invalid_data"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_an_invoice_of_stripes_of_no_possible_name_is_rejected(world: World, name: str) -> None:
    """P18: it is asked for by name at Stripe and in the store."""
    acme = at_stripe(world.store, ScriptedStripe(), now=world.now)
    received: dict[str, Any] = {"event_id": "evt_1", "type": "invoice.paid", "stripe_invoice_id": name}
    await acme.deliver("stripe.event.received", received)
    assert await acme.reasons() == ["invalid_data"]
