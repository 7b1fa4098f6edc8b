"""A rotation under load, through Envoy with the gateway's caches, every clock and cache 200 times as fast."""

import asyncio
import json
import socket
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec
import pytest
import uvicorn
from starlette.responses import Response

from functions.auth.keyring.jwks_copy import NAME
from functions.auth.keyring.key_rings import GATEWAY_CACHE, SIGNING_RING
from functions.auth.keyring.key_rotation import SCHEDULE
from local import openapi
from local.gateway import Gateway, command, envoy_config, placeholders
from local.ports import Reservation
from shared.http.app import App
from tests.tokens import ISSUER, Time
from tests.unit.auth.suite import Suite, running
from tests.unit.auth.test_key_rotation import states

pytestmark = pytest.mark.anyio

SPEED = 200
PAUSE_SECONDS = 0.05
"""With it a thousand requests or more on a machine that has the time; a busy one must manage a third."""
REUSED_FOR = timedelta(minutes=6)
"""Of the ten that a token lives: the rest is for a machine that is busy."""


class FastTime(Time):
    """From now on, `SPEED` times as fast: a gateway that goes by the true time finds no token too old."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))
        self._from = time.monotonic()

    def __call__(self) -> datetime:
        return self.now + timedelta(seconds=(time.monotonic() - self._from) * SPEED)


async def wait(span: timedelta) -> None:
    await asyncio.sleep(span.total_seconds() / SPEED)


class Server:
    """One auth function with caches of its own, as an ASGI application."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._app = App(
            suite.routes,
            verifier=suite.verifier,
            event_door=None,
            serves_http=True,
            version="test",
            access_log=lambda line: None,
        )
        self._edge: tuple[datetime, bytes] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answer = await self._jwks() if scope["path"] == f"/{NAME}" else self._app
        await answer(scope, receive, send)

    async def _jwks(self) -> Response:
        """The public object as the gateway gets it: up to five minutes old, from a cache on the way."""
        now = self._suite.clock()
        if self._edge is None or now >= self._edge[0] + GATEWAY_CACHE:
            found = await self._suite.objects.get(NAME)
            assert found is not None
            self._edge = now, found.data
        return Response(self._edge[1], media_type="application/json")


@asynccontextmanager
async def serving(suite: Suite) -> AsyncIterator[str]:
    """Its base URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(Server(suite), log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def gateway(folder: Path, auth: str, jwks: str) -> AsyncIterator[str]:
    reservation = Reservation.take()
    described = Gateway(
        backends=dict.fromkeys(("auth", "billing", "tenants"), auth),
        jwks_url=jwks,
        port=reservation.port,
        jwks_cache_seconds=GATEWAY_CACHE.total_seconds() / SPEED,
    )
    spec = openapi.load(Path("api-spec.yaml"), placeholders(ISSUER))
    config = folder / "envoy.json"
    config.write_text(json.dumps(envoy_config(spec, described)))
    process = subprocess.Popen(command(config), stderr=subprocess.DEVNULL)  # noqa: S603, ASYNC220 - ours
    try:
        yield f"http://127.0.0.1:{reservation.port}"
    finally:
        process.terminate()
        process.wait(10)
        reservation.release()


class Held(msgspec.Struct):
    text: str
    issued_at: datetime


class Load:
    """Machines that get tokens through the gateway, use them at once, and again as long as they live."""

    def __init__(self, clock: FastTime, auth: tuple[str, str], gateway: str, other: str) -> None:
        self._clock = clock
        self._auth = auth
        self._gateway = gateway
        self._other = other
        self._held: deque[Held] = deque()
        self._client = httpx.AsyncClient(trust_env=False, timeout=30)
        self.kids: list[str] = []
        self.answered = 0
        self.refused: list[str] = []

    async def run(self) -> None:
        try:
            async with self._client:
                while True:
                    await self._once()
                    await asyncio.sleep(PAUSE_SECONDS)
        except asyncio.CancelledError:
            return

    async def _once(self) -> None:
        form = {"grant_type": "client_credentials"}
        issued = await self._client.post(f"{self._gateway}/oauth2/token", data=form, auth=self._auth)
        self._saw(issued, "a token")
        text = issued.json()["access_token"]
        kid = jwt.get_unverified_header(text)["kid"]
        if kid not in self.kids:
            self.kids.append(kid)
        self._held.append(Held(text, self._clock()))
        await self._use(text, "at once")
        while self._clock() >= self._held[0].issued_at + REUSED_FOR:
            self._held.popleft()
        await self._use(self._held[0].text, "after some minutes")

    async def _use(self, token: str, when: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        for url in (self._gateway, self._other):
            self._saw(
                await self._client.get(f"{url}/v1/service-accounts", headers=headers), f"{when} at {url}"
            )

    def _saw(self, answer: httpx.Response, what: str) -> None:
        self.answered += 1
        if answer.status_code != 200:
            self.refused.append(f"{what}: {answer.status_code} {answer.text[:200]}")


async def sweeping(suites: list[Suite]) -> None:
    """Each minute, both at once, as doubled messages would."""
    while True:
        await asyncio.gather(*(suite.do.key_rotation.sweep() for suite in suites))
        await wait(timedelta(minutes=1))


async def until_states(suite: Suite, wanted: list[str], within: timedelta) -> None:
    last = suite.clock() + within
    while (found := await states(suite)) != wanted:
        assert suite.clock() < last, f"{found}, not {wanted}"
        await asyncio.sleep(0.05)


async def test_s3_j34_a_rotation_under_load_refuses_no_request(tmp_path: Path) -> None:
    """Two instances, the gateway's cache and one before it; from the first key alone to the second alone."""
    clock = FastTime()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(tmp_path, clock=clock))
        other = await stack.enter_async_context(running(tmp_path, clock=clock, with_tenant=False))
        machine = await one.add_machine("service_accounts:read")
        await one.do.key_rotation.sweep()
        urls = [await stack.enter_async_context(serving(suite)) for suite in (one, other)]
        front = await stack.enter_async_context(gateway(tmp_path, urls[0], f"{urls[1]}/{NAME}"))
        await ready(front, machine)
        load = Load(clock, machine, front, urls[1])
        running_tasks = [asyncio.create_task(load.run()), asyncio.create_task(sweeping([one, other]))]
        await wait(timedelta(minutes=1))
        await other.do.key_rotation.begin(SIGNING_RING, SCHEDULE)
        await until_states(one, ["retiring", "active"], timedelta(minutes=25))
        await until_states(one, ["active"], timedelta(minutes=40))
        await wait(timedelta(minutes=1))
        for task in running_tasks:
            task.cancel()
        await asyncio.gather(*running_tasks, return_exceptions=True)
    assert load.refused == []
    assert len(load.kids) == 2
    assert load.answered >= 100, "that was no load, however slow the machine"


async def ready(front: str, auth: tuple[str, str]) -> None:
    """Until the gateway has the keys."""
    said = "nothing"
    async with httpx.AsyncClient(trust_env=False, base_url=front) as client:
        for _ in range(400):
            try:
                form = {"grant_type": "client_credentials"}
                issued = await client.post("/oauth2/token", data=form, auth=auth)
                headers = {"Authorization": f"Bearer {issued.json()['access_token']}"}
                answer = await client.get("/v1/service-accounts", headers=headers)
                if answer.status_code == 200:
                    return
                said = answer.text
            except httpx.TransportError as failure:
                said = repr(failure)
            await asyncio.sleep(0.05)
    raise AssertionError(f"the gateway does not let a good token pass: {said}")
