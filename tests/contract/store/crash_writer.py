"""A process that commits until it is killed, and says what was acknowledged: `python -m … <file> <name>`."""

import asyncio
import os
import sys

from shared.store import Add, Create
from shared.store.sqlite import SqliteStore
from tests.contract.store.harness import QUERIES


async def main(path: str, name: str) -> None:
    store = SqliteStore(path, QUERIES)
    scope = store.tenant("t")

    async def write(lane: int) -> None:
        for number in range(1_000_000):
            made = f"{name}-{lane}-{number}"
            await store.commit(
                Create(scope.key("things", made), {"at": number, "text": "x" * 300}),
                Add(scope.key("counters", "all"), {"n": 1}),
                Add(scope.key("counters", name), {"n": 1}),
            )
            os.write(1, f"{made}\n".encode())

    await asyncio.gather(*(write(lane) for lane in range(4)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
