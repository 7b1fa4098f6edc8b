"""`kill -9` of every function, again and again, while tenants are made and usage streams in."""

import itertools
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from shared import events
from shared.bus import BILLING_EVENTS
from shared.events import CloudEvent
from tests import customers
from tests.suite import Suite, running

KILLS = 20
FUNCTIONS = ("billing", "tenants", "auth")
SECONDS_A_KILL = 2.6
"""The runner gives up on a server that dies five times in 30 seconds."""
MESSAGES_A_KILL = 25
METERS = ("agent_minutes", "workflow_runs", "model_tokens_k")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A suite of its own. Retries so far apart that a message outlives several deaths of its function."""
    folder = tmp_path_factory.mktemp("kill")
    with running(folder, "--retry-base-seconds", "0.6") as started:
        yield started


def _uses(dice: random.Random, numbers: Iterator[int], count: int) -> list[dict[str, Any]]:
    start = datetime.now(UTC) - timedelta(days=3)
    return [
        {
            "id": f"use-{next(numbers)}",
            "time": (start + timedelta(seconds=dice.randrange(86_400))).isoformat(),
            "meter": dice.choice(METERS),
            "quantity": str(Decimal(dice.randrange(1, 10**8)) / 10**6),
        }
        for _ in range(count)
    ]


def _message(tenant_id: str, uses: list[dict[str, Any]], number: int) -> CloudEvent:
    return events.make(
        "usage.recorded",
        event_id=f"kill-{number}",
        source="//tests/kill",
        subject=tenant_id,
        time=datetime.now(UTC),
        data={"events": uses},
    )


def _sums(uses: list[dict[str, Any]]) -> dict[str, tuple[Decimal, int]]:
    sums: dict[str, tuple[Decimal, int]] = {}
    for use in {use["id"]: use for use in uses}.values():
        quantity, count = sums.get(use["meter"], (Decimal(0), 0))
        sums[use["meter"]] = (quantity + Decimal(use["quantity"]), count + 1)
    return sums


def _read(suite: Suite, token: str) -> dict[str, tuple[Decimal, int]]:
    first = (datetime.now(UTC) - timedelta(days=10)).date()
    answer = httpx.get(
        f"{suite.gateway}/v1/usage",
        params={"from": first.isoformat(), "to": (first + timedelta(days=12)).isoformat()},
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return {
        total["meter"]: (Decimal(total["quantity"]), total["events"]) for total in answer.json()["totals"]
    }


def test_twenty_kills_change_no_total_and_lose_no_tenant(suite: Suite) -> None:
    """P18, B12, G6: every accepted use counts once; every tenant is provisioned and invited once."""
    dice = random.Random(20)
    numbers = itertools.count()
    customer = customers.take_on(suite)
    sent: list[dict[str, Any]] = []
    slugs: list[str] = []
    for kill in range(KILLS):
        function = FUNCTIONS[kill % len(FUNCTIONS)]
        began = time.monotonic()
        messages = []
        for index in range(MESSAGES_A_KILL):
            uses = _uses(dice, numbers, dice.choice((1, 1, 3, 10, 40)))
            again = dice.sample(sent, min(len(sent), len(uses) // 5))
            sent += uses
            messages.append(_message(customer.tenant_id, [*uses, *again], kill * 1000 + index))
        half = dice.randrange(MESSAGES_A_KILL)
        suite.publish(BILLING_EVENTS, messages[:half])
        if kill % 5 == 1:
            slugs.append(f"kill-{kill}-of-{KILLS}")
            customers.create(suite, slugs[-1])
        killed = suite.kill(function)
        suite.publish(BILLING_EVENTS, messages[half:])
        suite.wait_restarted(function, killed)
        time.sleep(max(0.0, SECONDS_A_KILL - (time.monotonic() - began)))
    suite.wait_drained(120)

    assert _read(suite, customer.access_token) == _sums(sent)
    made = {tenant["slug"]: tenant for tenant in customers.tenants(suite)}
    for slug in slugs:
        customers.wait_active(suite, made[slug]["id"])
        customers.invitation_token(suite, f"owner@{slug}.example")
        assert len(customers.mails_to(suite, f"owner@{slug}.example")) == 1
