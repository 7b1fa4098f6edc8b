"""Whether many tenants make any of them slower: the same load, spread over ten and over ten thousand.

Each load is that of ten thousand machines, each of which comes once: ten machines that come again and again
are remembered (docs/decisions/0017), however many tenants there are. What that gives has a line of its own.
"""

import base64
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import load, scenarios, traffic
from bench.load import NextRequest
from bench.scenarios import CONNECTIONS, Figure, Say
from bench.server import pinned
from bench.traffic import Seeded
from functions.auth import records
from functions.auth.domain import client_id, credentials
from functions.auth.domain.machines import ServiceAccount
from local import backend, suite
from shared import tenant
from shared.store import Create, Store
from shared.store.bodies import to_body
from shared.tenant import Tenant

TENANTS = (10, 10_000)
MACHINES = 10_000
REMEMBERED = 10
TARGET = 1.1
ROUNDS = 3
_BATCH = 100


async def run(scratch: Path, seconds: float, say: Say) -> list[Figure]:
    """The p95 of client credentials with many tenants, as a multiple of that with few."""
    say(f"client credentials of {TENANTS[0]:,} and {TENANTS[1]:,} tenants ...")
    seeded = await traffic.seed(scratch / "tenancy", 1)
    store = backend.of(seeded.options.layout).open_store()
    try:
        clients = {count: [each async for each in _filled(store, count)] for count in TENANTS}
    finally:
        await store.close()
    port = seeded.options.ports["auth"]
    p95: dict[int, list[float]] = {count: [] for count in TENANTS}
    for _ in range(ROUNDS):
        for count in TENANTS:
            p95[count].append(await _p95(seeded, port, seconds, clients[count]))
    few, many = (min(p95[count]) for count in TENANTS)
    again = await _p95(seeded, port, seconds, clients[min(TENANTS)][:REMEMBERED])
    measured = f"{many / few:.2f} × ({many:.1f} ms against {few:.1f} ms, best of {ROUNDS})"
    verdict = "meets" if many / few <= TARGET else "misses"
    name = f"client credentials, p95 of {TENANTS[1]:,} tenants: of {TENANTS[0]}"
    return [
        Figure(name, measured, f"≤ {TARGET:g} ×", verdict),
        Figure(f"client credentials, p95 of {REMEMBERED} machines again and again", f"{again:.1f} ms"),
    ]


async def _p95(seeded: Seeded, port: int, seconds: float, clients: list[bytes]) -> float:
    """At half of full speed, so that it is the answers that are measured and not the queue."""
    async with pinned(suite.function(seeded.options, "auth", {}), port):
        await scenarios.first_answer(port)
        requests = itertools.cycle(clients)
        measured = await load.run(port, seconds, [_next(requests)] * CONNECTIONS, per_second=1000)
    if set(measured.statuses) != {200}:
        raise SystemExit(f"tenancy: expected 200 only, got {measured.statuses}")
    return measured.percentile_ms(95)


def _next(requests: Iterator[bytes]) -> NextRequest:
    return lambda _: next(requests)


async def _filled(store: Store, tenants: int) -> AsyncIterator[bytes]:
    """So many tenants with `MACHINES` between them; the request with which each machine signs in."""
    at = datetime.now(UTC)
    writes: list[Create] = []
    for number in range(MACHINES):
        place = f"{tenants}_{number % tenants:05}"
        tenant_id, account_id, secret = f"tnt_bench{place}", f"sa_bench{number:05}", secrets.token_hex(32)
        owner = Tenant(
            id=tenant_id,
            slug=f"bench-{place}",
            name="Bench",
            owner_email="owner@bench.example",
            tier="standard",
            isolation="shared",
            status="active",
            contract_start=at.date(),
            created_at=at,
            updated_at=at,
        )
        account = ServiceAccount(
            id=account_id,
            name="bench",
            scopes=("usage:read",),
            roles=(),
            secrets=(credentials.hashed("sec_1", secret, at),),
            created_by="usr_bench",
            created_at=at,
        )
        if number < tenants:
            writes.append(Create(tenant.key(store, tenant_id), to_body(owner)))
        writes.append(Create(records.service_account_key(store, tenant_id, account_id), to_body(account)))
        if len(writes) >= _BATCH:
            await store.commit(*writes)
            writes.clear()
        basic = base64.b64encode(f"{client_id.of(tenant_id, account_id)}:{secret}".encode()).decode()
        headers = {**traffic.FORM, "authorization": f"Basic {basic}"}
        yield load.request("POST", "/oauth2/token", headers, b"grant_type=client_credentials")
    if writes:
        await store.commit(*writes)
