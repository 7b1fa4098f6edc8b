"""What the story did, found again in the audit log."""

from typing import Any

import msgspec

from local.demo.screen import Screen
from local.demo.world import World


class Deed(msgspec.Struct, frozen=True):
    """`by` and `target` are ids, `action` as the log names it."""

    by: str
    action: str
    target: str


async def join(world: World, screen: Screen, logs: list[tuple[str, list[Deed]]]) -> None:
    """Shows the record of each deed. Each token reads the log of its own tenant."""
    screen.chapter("Who did what is in the audit logs of Acme and of the platform")
    rows: list[list[str]] = []
    missing = 0
    for token, deeds in logs:
        records = await _read(world, token)
        found = [records[deed] for deed in deeds if deed in records]
        rows += [
            [each["at"][11:23], each["action"], each["actor"]["id"][:12], each["target"][:12]]
            for each in found
        ]
        missing += len(deeds) - len(found)
    screen.table("    Their records of what was done above", ["    UTC", "What", "By", "On"], rows)
    screen.check(f"Of {len(rows) + missing} deeds without a record", 0, missing)


async def _read(world: World, token: str) -> dict[Deed, dict[str, Any]]:
    records: dict[Deed, dict[str, Any]] = {}
    query = {"limit": "100"}
    while True:
        page = await world.must(200, "GET", "/v1/audit", token, params=query)
        for record in page["items"]:
            records[Deed(record["actor"]["id"], record["action"], record["target"])] = record
        if page["next_cursor"] is None:
            return records
        query["cursor"] = page["next_cursor"]
