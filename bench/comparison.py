"""Ours against others: both on the same core, loaded in turn, again and again; the ratio is what counts."""

import asyncio
import base64
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import quote

import argon2
import msgspec

from bench import load, peer, scenarios, traffic
from bench.load import NextRequest, Reply
from bench.peer import Peer
from bench.scenarios import CONNECTIONS, Figure, Say
from bench.server import pinned
from bench.traffic import Seeded
from functions.auth.sign_in.passwords import MEMORY_KIB, PASSES
from local import suite

ROUNDS = 3

Theirs = Callable[[Peer], list[NextRequest]]


class Duel(msgspec.Struct, frozen=True):
    """One load on ours and on theirs. `ratio`: how many times as fast ours has to be."""

    name: str
    ratio: float
    start: Callable[[Path], AbstractAsyncContextManager[Peer]]
    ours: Callable[[Seeded], list[NextRequest]]
    theirs: Theirs


def _oidc_provider(access_tokens: str) -> Callable[[Path], AbstractAsyncContextManager[Peer]]:
    return lambda scratch: peer.oidc_provider(scratch, CONNECTIONS, access_tokens)


def _get(path: str) -> list[NextRequest]:
    return traffic.same(load.request("GET", path, {}), CONNECTIONS)


def _machines(path: str) -> Theirs:
    def theirs(running: Peer) -> list[NextRequest]:
        body = b"grant_type=client_credentials&scope=usage:read"
        return traffic.same(load.request("POST", path, _basic(running.made), body), CONNECTIONS)

    return theirs


def _introspections(running: Peer) -> list[NextRequest]:
    body = f"token={running.made['access_token']}".encode()
    return traffic.same(load.request("POST", "/token/introspection", _basic(running.made), body), CONNECTIONS)


def _refreshes(running: Peer) -> list[NextRequest]:
    return [_chain(token) for token in running.made["refresh_tokens"]]


def _chain(first: str) -> NextRequest:
    token = first

    def following(reply: Reply | None) -> bytes:
        nonlocal token
        if reply is not None:
            token = msgspec.json.decode(reply.body)["refresh_token"]
        body = f"grant_type=refresh_token&client_id=app&refresh_token={quote(token)}"
        return load.request("POST", "/token", traffic.FORM, body.encode())

    return following


def _session_checks(running: Peer) -> list[NextRequest]:
    payload = load.request("GET", "/api/auth/get-session", {"cookie": running.made["cookie"]})
    return traffic.same(payload, CONNECTIONS)


def _basic(made: dict[str, str]) -> dict[str, str]:
    credentials = base64.b64encode(f"{made['client_id']}:{made['client_secret']}".encode()).decode()
    return {**traffic.FORM, "authorization": f"Basic {credentials}"}


DUELS = (
    Duel(
        "client credentials, ES256: oidc-provider",
        1.25,
        _oidc_provider("jwt"),
        lambda seeded: traffic.machines(seeded, CONNECTIONS),
        _machines("/token"),
    ),
    Duel(
        "client credentials, theirs opaque: oidc-provider",
        1.25,
        _oidc_provider("opaque"),
        lambda seeded: traffic.machines(seeded, CONNECTIONS),
        _machines("/token"),
    ),
    Duel(
        "refresh, ES256: oidc-provider",
        1.0,
        _oidc_provider("jwt"),
        lambda seeded: seeded.refreshes,
        _refreshes,
    ),
    Duel(
        "refresh, theirs opaque: oidc-provider",
        1.0,
        _oidc_provider("opaque"),
        lambda seeded: seeded.refreshes,
        _refreshes,
    ),
    Duel(
        "introspection: oidc-provider",
        1.2,
        _oidc_provider("opaque"),
        lambda seeded: traffic.introspections(seeded, CONNECTIONS),
        _introspections,
    ),
    Duel(
        "JWKS: oidc-provider",
        0.9,
        _oidc_provider("jwt"),
        lambda _: _get("/.well-known/jwks.json"),
        lambda _: _get("/jwks"),
    ),
    Duel(
        "discovery: oidc-provider",
        0.9,
        _oidc_provider("jwt"),
        lambda _: _get("/.well-known/openid-configuration"),
        lambda _: _get("/.well-known/openid-configuration"),
    ),
    Duel(
        "session check: better-auth",
        3.0,
        peer.better_auth,
        lambda seeded: traffic.me(seeded, CONNECTIONS),
        _session_checks,
    ),
    Duel(
        "client credentials: django-oauth-toolkit",
        5.0,
        peer.django_oauth,
        lambda seeded: traffic.machines(seeded, CONNECTIONS),
        _machines("/o/token/"),
    ),
)


async def run(scratch: Path, seconds: float, only: str, say: Say) -> list[Figure]:
    """All ratios. Ends the process with a line on stderr where the peers are not installed."""
    if lacking := peer.missing():
        raise SystemExit(lacking)
    say("Preparing a customer ...")
    seeded = await traffic.seed(scratch / "data", CONNECTIONS)
    figures = []
    for duel in DUELS:
        if only in duel.name:
            say(f"{duel.name} ...")
            figures.append(await _fought(duel, seeded, scratch, seconds))
    if only in "sign-in: bare Argon2id":
        say("sign-in: bare Argon2id ...")
        figures.append(await _sign_ins(seeded, seconds))
    return figures


async def _fought(duel: Duel, seeded: Seeded, scratch: Path, seconds: float) -> Figure:
    port = seeded.options.ports["auth"]
    async with pinned(suite.function(seeded.options, "auth", {}), port), duel.start(scratch) as running:
        await scenarios.first_answer(port)
        ours, theirs = duel.ours(seeded), duel.theirs(running)
        await _rate(running.port, 1.0, theirs)  # what is compiled while it runs is compiled by then
        rounds = [
            (await _rate(port, seconds, ours), await _rate(running.port, seconds, theirs))
            for _ in range(ROUNDS)
        ]
    return _ratio(duel.name, duel.ratio, rounds)


async def _sign_ins(seeded: Seeded, seconds: float) -> Figure:
    """Against one thread that does nothing but verify. A process for each round, since one person may begin
    only so many sessions in it.
    """
    port = seeded.options.ports["auth"]
    rounds = []
    for _ in range(ROUNDS):
        async with pinned(suite.function(seeded.options, "auth", {}), port):
            await scenarios.first_answer(port)
            ours = await _rate(port, seconds, traffic.sign_ins(CONNECTIONS))
        rounds.append((ours, await asyncio.to_thread(_bare_argon2, seconds)))
    return _ratio("sign-in: bare Argon2id", 0.9, rounds)


def _bare_argon2(seconds: float) -> float:
    """On the generator's core, which is of the same kind and has nothing else to do."""
    hasher = argon2.PasswordHasher(PASSES, MEMORY_KIB, 1)
    known = hasher.hash(traffic.LOGIN["password"])
    started, count = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        hasher.verify(known, traffic.LOGIN["password"])
        count += 1
    return count / (time.perf_counter() - started)


async def _rate(port: int, seconds: float, connections: list[NextRequest]) -> float:
    measured = await load.run(port, seconds, connections)
    if set(measured.statuses) != {200}:
        raise SystemExit(f"port {port}: expected 200 only, got {measured.statuses}")
    return measured.rate


def _ratio(name: str, target: float, rounds: list[tuple[float, float]]) -> Figure:
    ratios = [ours / theirs for ours, theirs in rounds]
    found = statistics.median(ratios)
    mine, others = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    measured = (
        f"{found:.2f} × ({mine:,.0f} against {others:,.0f} a second; {min(ratios):.2f}-{max(ratios):.2f})"
    )
    return Figure(name, measured, f"≥ {target:g} ×", "meets" if found >= target else "misses")
