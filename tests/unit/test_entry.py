"""The entry point: one app, built on the first request."""

import asyncio
import gc
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as Answer
from starlette.routing import Route

from shared import config as settings
from shared import http
from shared.entry import Entry, make_app, open_secrets
from shared.http import PUBLIC, Call, Response, json_response
from shared.http.app import App
from shared.metrics import Metrics
from tests.documents import Documents
from tests.tokens import Time
from tests.unit.test_config import GOOD


@pytest.fixture(autouse=True)
def collector(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the garbage collector, which stays as it is for other tests."""
    asked: list[str] = []
    monkeypatch.setattr(gc, "freeze", lambda: asked.append("freeze"))
    return asked


async def _fine(call: Call) -> Response:
    return json_response("fine")


class Builder:
    """Builds an app when it is let, and counts."""

    def __init__(self) -> None:
        self.times = 0
        self.failure: Exception | None = None
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> App:
        self.times += 1
        self.begun.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        config = settings.load(GOOD | {"DOORS": "http"}, "auth")
        routes = [http.Route("GET", "/x", _fine, PUBLIC)]
        return make_app(config, Documents(), Time(), routes, None, Metrics("auth", "r-1"))


def _framework(entry: Entry) -> Starlette:
    """With a route that takes every request to the function, as the framework has it."""

    async def function(request: Request) -> Answer:
        return await entry(request)

    return Starlette(routes=[Route("/{path:path}", function)])


async def _ask(framework: Starlette) -> httpx.Response:
    transport = httpx.ASGITransport(framework)
    async with httpx.AsyncClient(transport=transport, base_url="http://function.test") as client:
        return await client.get("/x")


def test_fifty_first_requests_build_one_app(capfd: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        builder = Builder()
        framework = _framework(Entry(builder))
        assert builder.times == 0
        answers = await asyncio.gather(*(_ask(framework) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert builder.times == 1

    asyncio.run(story())
    assert len(capfd.readouterr().out.splitlines()) == 50


def test_once_it_is_built_the_app_is_asked_without_a_detour() -> None:
    async def story() -> None:
        entry = Entry(Builder())
        framework = _framework(entry)
        assert (await _ask(framework)).status_code == 200
        framework.routes.clear()
        assert (await _ask(framework)).status_code == 200

    asyncio.run(story())


def test_what_is_built_is_no_work_for_the_collector(collector: list[str]) -> None:
    async def story() -> None:
        builder = Builder()
        builder.failure = OSError("no disk")
        framework = _framework(Entry(builder))
        await _ask(framework)
        assert collector == []
        builder.failure = None
        await _ask(framework)
        await _ask(framework)
        assert collector == ["freeze"]

    asyncio.run(story())


def test_a_failed_start_is_503_for_those_who_waited_and_tried_again_by_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S1."""

    async def story() -> None:
        builder = Builder()
        builder.failure = OSError("no disk")
        framework = _framework(Entry(builder))
        answers = await asyncio.gather(*(_ask(framework) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["retry-after"] for answer in answers} == {"5"}
        assert builder.times == 1
        builder.failure = None
        assert (await _ask(framework)).status_code == 200
        assert builder.times == 2

    asyncio.run(story())
    assert [record.message for record in caplog.records] == ["the function could not start"]


def test_a_first_caller_who_goes_away_stops_nothing() -> None:
    async def story() -> None:
        builder = Builder()
        builder.gate.clear()
        framework = _framework(Entry(builder))
        first, second = (asyncio.ensure_future(_ask(framework)) for _ in range(2))
        await builder.begun.wait()
        first.cancel()
        await asyncio.sleep(0)
        builder.gate.set()
        assert (await second).status_code == 200
        assert builder.times == 1

    asyncio.run(story())


def test_secrets_live_in_the_data_folder(tmp_path: Path) -> None:
    async def story() -> None:
        config = settings.load(GOOD | {"DATA_DIR": str(tmp_path)}, "auth")
        secrets = open_secrets(config, Time())
        assert await secrets.add("key", b"value") == 1
        assert (tmp_path / "secrets" / "key" / "1").exists()

    asyncio.run(story())
