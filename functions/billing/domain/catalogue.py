"""The price list. What is here is an EXAMPLE, dated, and every invoice made from it says so."""

from datetime import date

import msgspec

from functions.billing.domain.money import unit_price_nano


class Meter(msgspec.Struct, frozen=True):
    """Something that is counted and priced per unit."""

    label: str
    unit_price_nano: int


class Catalogue(msgspec.Struct, frozen=True):
    """Prices without tax, in one currency. Published prices never change and meters never go away:
    late usage of a closed month is the difference between two sums at the same price.
    """

    name: str
    dated: date
    is_example: bool
    currency: str
    fees_minor: dict[str, int]
    """Per calendar month, by tier."""
    meters: dict[str, Meter]


EXAMPLE = Catalogue(
    name="example-2026-01",
    dated=date(2026, 1, 1),
    is_example=True,
    currency="USD",
    fees_minor={"basic": 29_00, "standard": 99_00, "premium": 299_00, "enterprise": 999_00},
    meters={
        "agent_minutes": Meter("Agent minutes", unit_price_nano("0.02")),
        "workflow_runs": Meter("Workflow runs", unit_price_nano("0.05")),
        "storage_gb_hours": Meter("Storage, GB-hours", unit_price_nano("0.00014")),
        "model_tokens_k": Meter("Model tokens, thousands", unit_price_nano("0.0015")),
    },
)
