"""Usage streams in, tenants are made, and functions die of `kill -9` all the while; the totals are exact."""

import itertools
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from shared import events
from shared.bus import BILLING_EVENTS
from shared.events import CloudEvent
from tests import customers
from tests.suite import Suite

FUNCTIONS = ("billing", "tenants", "auth")
SECONDS_A_KILL = 2.6
"""The runner gives up on a server that dies five times in 30 seconds."""
MESSAGES_A_KILL = 25
METERS = ("agent_minutes", "workflow_runs", "model_tokens_k")
DRAIN_SECONDS = 180.0


def survive(suite: Suite, kills: int, seed: int) -> int:
    """P10, P13, P18, B12, G6: every accepted use counts once; every tenant is provisioned and invited once.

    A fifth of the uses is sent twice, and messages come in any order, some of them several kills late.
    Returns how many different uses were sent.
    """
    dice = random.Random(seed)
    numbers = itertools.count()
    customer = customers.take_on(suite)
    sent: list[dict[str, Any]] = []
    held_back: list[CloudEvent] = []
    slugs: list[str] = []
    for kill in range(kills):
        began = time.monotonic()
        messages = held_back
        for index in range(MESSAGES_A_KILL):
            uses = _uses(dice, numbers, dice.choice((1, 1, 3, 10, 40)))
            again = dice.sample(sent, min(len(sent), len(uses) // 5))
            sent += uses
            messages.append(_message(customer.tenant_id, [*uses, *again], kill * 1000 + index))
        messages += dice.sample(messages, len(messages) // 5)
        dice.shuffle(messages)
        late = len(messages) // 10 if kill < kills - 1 else 0
        held_back, messages = messages[:late], messages[late:]
        half = dice.randrange(len(messages))
        suite.publish(BILLING_EVENTS, messages[:half])
        if kill % 5 == 1:
            slugs.append(f"kill-{kill}-of-{kills}")
            customers.create(suite, slugs[-1])
        function = FUNCTIONS[kill % len(FUNCTIONS)]
        killed = suite.kill(function)
        suite.publish(BILLING_EVENTS, messages[half:])
        suite.wait_restarted(function, killed)
        time.sleep(max(0.0, SECONDS_A_KILL - (time.monotonic() - began)))
    suite.wait_drained(DRAIN_SECONDS)

    assert _read(suite, customer.access_token) == _sums(sent)
    made = {tenant["slug"]: tenant for tenant in customers.tenants(suite)}
    for slug in slugs:
        customers.wait_active(suite, made[slug]["id"])
        customers.invitation_token(suite, f"owner@{slug}.example")
        assert len(customers.mails_to(suite, f"owner@{slug}.example")) == 1
    return len(sent)


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
