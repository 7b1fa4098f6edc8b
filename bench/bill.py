"""`make bench BACKEND=gcp`: each use-case on Google's bill, and a function's start with Google's clients.

Rates are not measured: the emulators are the slower part.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec

from bench import scenarios, traffic
from bench.load import Reply
from bench.scenarios import Figure, Say
from bench.server import pinned
from bench.traffic import Seeded
from bench.volley import volley
from bench.wire import Counts, Wire
from local import suite
from local.demo.world import World, running
from local.ports import HOST, Reservation
from local.suite import Options

ROUNDS = 20
WAYS = 64
READ_USD, WRITE_USD, DELETE_USD = 0.03e-5, 0.09e-5, 0.01e-5
"""Firestore's list price of one document in a US region; named databases have no free quota."""
MESSAGE_USD = 2 * 1000 * 40 / 2**40
"""Pub/Sub's list price: 40 USD for a TiB, a message counts at least 1,000 bytes, in and out."""

Round = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


class Case(msgspec.Struct, frozen=True):
    """One use-case. `things` in each round; `limits`: field of `Counts` to the most for one thing."""

    name: str
    function: str
    one: Round
    things: int = 1
    rounds: int = ROUNDS
    limits: dict[str, float] = {}


async def run(scratch: Path, only: str, say: Say) -> list[Figure]:
    """All figures, in order."""
    say("Starting the suite on the emulators and preparing a customer ...")
    async with running(scratch / "data") as world:
        seeded = await traffic.seed_in(world, sessions=2)
        figures: list[Figure] = []
        async with _counted(world, seeded) as (options, counts):
            for case in _cases(seeded, options):
                if only in case.name:
                    say(f"{case.name} ...")
                    figures += await _case(case, options, counts)
            if only in "race":
                say("race of refreshes ...")
                figures.append(await _race(seeded))
            for function in ("auth", "billing", "tenants") if only in "start" else ():
                say(f"{function}: cold starts ...")
                figures += await scenarios.cold(function, options, seconds=1.2, megabytes=140)
        return figures


@asynccontextmanager
async def _counted(world: World, seeded: Seeded) -> AsyncIterator[tuple[Options, Counts]]:
    """Options for functions of one's own whose Firestore and Pub/Sub are behind a counting proxy."""
    counts = Counts()
    taken = {name: Reservation.take() for name in ("firestore", "pubsub", "auth", "billing", "tenants")}
    ports = {name: reservation.port for name, reservation in taken.items()}
    wires = [Wire(f"{HOST}:{seeded.options.ports[name]}", counts) for name in ("firestore", "pubsub")]
    for reservation in taken.values():
        reservation.release()
    for name, wire in zip(("firestore", "pubsub"), wires, strict=True):
        await wire.start(f"{HOST}:{ports[name]}")
    try:
        yield msgspec.structs.replace(seeded.options, ports={**seeded.options.ports, **ports}), counts
    finally:
        for wire in wires:
            await wire.stop()


def _cases(seeded: Seeded, options: Options) -> Sequence[Case]:
    refresh = seeded.refreshes[0]
    answers: list[Reply | None] = [None]

    async def sign_in(client: httpx.AsyncClient, number: int) -> httpx.Response:
        return await client.post("/v1/auth/login", json=traffic.LOGIN)

    async def refreshed(client: httpx.AsyncClient, number: int) -> httpx.Response:
        answer = await _send(client, refresh(answers[0]))
        answers[0] = Reply(answer.status_code, answer.content)
        return answer

    async def machine(client: httpx.AsyncClient, number: int) -> httpx.Response:
        form = {"grant_type": "client_credentials"}
        return await client.post("/oauth2/token", data=form, auth=(seeded.client_id, seeded.client_secret))

    def used(size: int) -> Round:
        publish = traffic.usage(options, seeded.tenant_id, 1, size)[0]

        async def one(client: httpx.AsyncClient, number: int) -> httpx.Response:
            return await _send(client, publish(None))

        return one

    async def closed(client: httpx.AsyncClient, number: int) -> httpx.Response:
        period = f"{traffic.last_month():%Y-%m}"
        return await _send(client, traffic.close(options, seeded.tenant_id, period))

    return (
        Case("sign-in", "auth", sign_in),
        Case("refresh", "auth", refreshed, limits={"reads": 2, "commits": 1, "writes": 3}),
        Case("client credentials", "auth", machine),
        Case("usage, one by one", "billing", used(1), limits={"writes": 2.2}),
        Case("usage, 100 in a message", "billing", used(100), things=100, limits={"writes": 1.1}),
        Case("close of a tenant", "billing", closed, rounds=1),
    )


async def _case(case: Case, options: Options, counts: Counts) -> list[Figure]:
    port = options.ports[case.function]
    server = suite.function(options, case.function, {})
    async with pinned(server, port), httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        await case.one(client, -1) if case.rounds > 1 else None  # what is read once for many is not counted
        for name in counts.__struct_fields__:
            setattr(counts, name, 0)
        for number in range(case.rounds):
            answer = await case.one(client, number)
            if answer.status_code >= 300:
                raise SystemExit(f"{case.name}: {answer.status_code} {answer.text[:300]}")
    things = case.rounds * case.things
    each = {name: getattr(counts, name) / things for name in counts.__struct_fields__}
    usd = (
        each["reads"] * READ_USD
        + each["writes"] * WRITE_USD
        + each["deletes"] * DELETE_USD
        + each["messages"] * MESSAGE_USD
    )
    shown = (
        f"{each['reads']:g} reads, {each['writes']:g} writes, {each['deletes']:g} deletes in "
        f"{each['commits']:g} commits, {each['messages']:g} messages, {each['bytes']:,.0f} bytes, "
        f"{usd * 1e6:,.2f} USD a million"
    )
    met = all(each[name] <= limit for name, limit in case.limits.items())
    target = ", ".join(f"≤ {limit:g} {name}" for name, limit in case.limits.items())
    return [Figure(case.name, shown, target, ("meets" if met else "misses") if case.limits else "")]


async def _race(seeded: Seeded) -> Figure:
    """One refresh token from many places at once, to one process; function and emulator share the cores."""
    token = seeded.refresh_tokens[1]
    took: list[float] = []
    async with volley(seeded.options.ports["auth"], WAYS) as ways:
        for number in range(ROUNDS):
            answers = await ways.fire(traffic.refresh(token))
            got = {answer.reply.status for answer in answers}
            successors = {msgspec.json.decode(answer.reply.body).get("refresh_token") for answer in answers}
            if got != {200} or len(successors) != 1:
                raise SystemExit(f"race, round {number}: {got}, {len(successors)} successors")
            (token,) = successors
            took += [answer.seconds for answer in answers]
    p95_ms = sorted(took)[int(len(took) * 0.95)] * 1000
    return scenarios.figure(f"refresh of one token, {WAYS} at once, p95", p95_ms, 500, "ms", at_least=False)


async def _send(client: httpx.AsyncClient, raw: bytes) -> httpx.Response:
    """A request that was made for the load generator."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return await client.request(method, path, headers=headers, content=body)
