"""What is measured: seeds a suite with a customer, then loads each function alone."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec

from bench import load, traffic
from bench.load import NextRequest
from bench.server import Running, pinned, reference, worker_cpu_seconds, worker_pss_mb
from bench.traffic import Seeded
from local import suite
from local.ports import Reservation
from local.suite import Options

CONNECTIONS = 16
COLD_RUNS = 5
COLD_BURST = 50

Say = Callable[[str], None]


class Figure(msgspec.Struct, frozen=True):
    """One line of the result. `verdict`: `meets`, `misses`, or empty for a reference."""

    name: str
    measured: str
    target: str = ""
    verdict: str = ""


class Rate(msgspec.Struct, frozen=True):
    """One load: on which function, what each connection sends, how many things a request holds."""

    name: str
    function: str
    target: float
    connections: Callable[[Seeded], list[NextRequest]]
    expect: int = 200
    things: int = 1
    unit: str = "req/s"
    full_speed_p95: bool = True
    """False where 16 requests at once are more work than 50 ms hold: p95 is then that at the target rate."""


RATES = (
    Rate("GET /v1/me", "auth", 3000, lambda seeded: traffic.me(seeded, CONNECTIONS)),
    Rate("client credentials", "auth", 2500, lambda seeded: traffic.machines(seeded, CONNECTIONS)),
    Rate("refresh", "auth", 1500, lambda seeded: seeded.refreshes),
    Rate(
        "usage, 100 in a message",
        "billing",
        5000,
        lambda seeded: traffic.usage(seeded.options, seeded.tenant_id, CONNECTIONS, 100),
        expect=204,
        things=100,
        unit="events/s",
        full_speed_p95=False,
    ),
    Rate(
        "usage, one by one",
        "billing",
        700,
        lambda seeded: traffic.usage(seeded.options, seeded.tenant_id, CONNECTIONS, 1),
        expect=204,
        unit="messages/s",
    ),
)


async def run(scratch: Path, seconds: float, only: str, say: Say) -> list[Figure]:
    """All figures, in order."""
    figures: list[Figure] = []
    if only in "reference":
        figures += await _references(scratch, seconds, say)
    say("Preparing a customer ...")
    seeded = await traffic.seed(scratch / "data", CONNECTIONS)
    for rate in RATES:
        if only in rate.name:
            say(f"{rate.name} ...")
            figures += await _rate(rate, seeded, seconds)
    if only in "start":
        say("cold starts ...")
        for function in ("auth", "billing", "tenants"):
            figures += await cold(function, seeded.options, seconds=0.8, megabytes=90)
    return figures


async def _references(scratch: Path, seconds: float, say: Say) -> list[Figure]:
    figures = []
    for name, path in (("constant JSON", "/"), ("one ES256 signature", "/sign")):
        say(f"reference: {name} ...")
        port = _free_port()
        request = load.request("GET", path, {})
        async with pinned(reference(port, scratch), port) as running:
            measured = await load.run(port, seconds, traffic.same(request, CONNECTIONS))
            cpu = worker_cpu_seconds(running.pid) / len(measured.latencies_ms)
        figures.append(Figure(f"reference: framework, {name}", f"{measured.rate:,.0f} req/s"))
        figures.append(Figure(f"reference: framework, {name}, CPU each", f"{cpu * 1e6:,.0f} µs"))
    return figures


async def _rate(rate: Rate, seeded: Seeded, seconds: float) -> list[Figure]:
    port = seeded.options.ports[rate.function]
    async with pinned(suite.function(seeded.options, rate.function, {}), port) as running:
        await first_answer(port)
        before = worker_cpu_seconds(running.pid)
        measured = await load.run(port, seconds, rate.connections(seeded))
        cpu = worker_cpu_seconds(running.pid) - before
    wrong = {status: count for status, count in measured.statuses.items() if status != rate.expect}
    if wrong:
        raise SystemExit(f"{rate.name}: expected {rate.expect} only, got also {wrong}")
    found = measured.rate * rate.things
    p95 = measured.percentile_ms(95)
    latency = figure(f"{rate.name}, p95", p95, 50, "ms", at_least=False)
    if not rate.full_speed_p95:
        latency = await _at_target(rate, seeded, seconds, p95)
    return [
        figure(rate.name, found, rate.target, rate.unit, at_least=True),
        latency,
        Figure(f"{rate.name}, CPU each", f"{cpu * 1e6 / len(measured.latencies_ms):,.0f} µs"),
    ]


async def _at_target(rate: Rate, seeded: Seeded, seconds: float, p95_at_full_speed: float) -> Figure:
    port = seeded.options.ports[rate.function]
    async with pinned(suite.function(seeded.options, rate.function, {}), port):
        await first_answer(port)
        per_second = rate.target / rate.things
        paced = await load.run(port, seconds, rate.connections(seeded), per_second=per_second)
    name = f"{rate.name}, p95 at {rate.target:,.0f}/s (at full speed {p95_at_full_speed:.0f} ms)"
    return figure(name, paced.percentile_ms(95), 50, "ms", at_least=False)


async def cold(function: str, options: Options, *, seconds: float, megabytes: float) -> list[Figure]:
    """Starts of one function as it is deployed for those who wait for it; with the most that they may take.

    What takes its events is another process.
    """
    took = []
    pss = 0.0
    server, port = suite.function(options, function, {"DOORS": "http"}), options.ports[function]
    for _ in range(COLD_RUNS):
        async with pinned(server, port) as running:
            await first_answer(port)
            took.append(time.perf_counter() - running.started)
            pss = worker_pss_mb(running.pid)
    async with pinned(server, port) as running:
        answered, slowest = await _burst(running)
    middle = sorted(took)[COLD_RUNS // 2]
    return [
        figure(
            f"{function}: start to first answer (median of {COLD_RUNS})", middle, seconds, "s", at_least=False
        ),
        figure(f"{function}: idle worker, PSS", pss, megabytes, "MB", at_least=False),
        Figure(
            f"{function}: {COLD_BURST} first requests at once on a cold process",
            f"{answered} answered, slowest {slowest * 1000:,.0f} ms",
            f"{COLD_BURST} answered",
            "meets" if answered == COLD_BURST else "misses",
        ),
    ]


async def first_answer(port: int) -> None:
    """The first answer that needs the whole function: it is built on its first request."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        answer = await client.get("/v1/no-such-thing")
    if answer.status_code != 404:
        raise SystemExit(f"the first answer was {answer.status_code}, not 404")


async def _burst(running: Running) -> tuple[int, float]:
    limits = httpx.Limits(max_connections=COLD_BURST)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{running.port}", timeout=30, limits=limits
    ) as client:
        started = time.perf_counter()

        async def one() -> tuple[int, float]:
            answer = await client.get("/v1/no-such-thing")
            return answer.status_code, time.perf_counter() - started

        answers = await asyncio.gather(*(one() for _ in range(COLD_BURST)))
    return sum(status == 404 for status, _ in answers), max(took for _, took in answers)


def figure(name: str, found: float, target: float, unit: str, *, at_least: bool) -> Figure:
    """A number beside its target."""
    met = found >= target if at_least else found <= target
    number = f"{found:,.0f}" if found >= 10 else f"{found:.2f}"
    sign = "≥" if at_least else "≤"
    return Figure(name, f"{number} {unit}", f"{sign} {target:,g} {unit}", "meets" if met else "misses")


def _free_port() -> int:
    held = Reservation.take()
    held.release()
    return held.port
